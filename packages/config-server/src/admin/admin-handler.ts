import type { IncomingMessage, ServerResponse } from "node:http";
import { PolicyError } from "@tulle/policy";
import type { AdminError } from "@tulle/protocol";
import type { AuditLog } from "../audit/audit-log.ts";
import { StoreError } from "../store/store-error.ts";
import { AdminFailure, badRequest, notFound } from "./admin-failure.ts";
import type { AdminCaller, AdminScope, AdminTokens } from "./admin-tokens.ts";
import { readJsonBody } from "./read-body.ts";
import { checkOrigin } from "./request-origin.ts";
import type { AdminRequest, AdminRoute } from "./routes.ts";

/** What answers requests of the admin API. */
export interface AdminHandlerOptions {
  readonly routes: readonly AdminRoute[];
  /** The secrets that open the API. */
  readonly tokens: Pick<AdminTokens, "authenticate">;
  /** Names and addresses of the server's certificate: what a request may be sent to. */
  readonly hosts: readonly string[];
  /** Hears of whoever is not let in. */
  readonly audit: Pick<AuditLog, "record">;
  /** Hears of failures that are the server's own. */
  readonly onError: (error: unknown) => void;
}

/** Answers to anybody, before any token is asked for: that the process lives and serves. */
const HEALTH_PATH = "/healthz";

/** Makes the handler of a `node:https` server. Nothing but the health check is answered without the token, not even 404. */
export const createAdminHandler = ({ routes, tokens, hosts, audit, onError }: AdminHandlerOptions) => {
  const ownNames = new Set(hosts.map((host) => host.toLowerCase()));

  const answer = async (request: IncomingMessage): Promise<unknown> => {
    checkOrigin(request, ownNames);
    const caller = await tokens.authenticate(request.headers.authorization);
    const { path, query } = targetOf(request.url ?? "");
    const { route, parts } = findRoute(routes, request.method ?? "", path);
    checkScope(route, caller);
    const body = route.method === "POST" ? await readJsonBody(request) : undefined;
    const asked: AdminRequest = { parts, query, body, actor: caller.actor };
    return route.handle(asked);
  };

  /** Refused all the same when the log cannot take the line. */
  const recordRefusal = async ({ status, body }: AdminFailure, { socket, method, url }: IncomingMessage) => {
    if (!NOT_LET_IN.has(status) || !("message" in body)) return;
    await audit
      .record({
        event: "admin-refused",
        actor: socket.remoteAddress ?? "unknown",
        // What follows the path may hold anything that somebody pasted.
        detail: { error: body.error, method: method ?? "", path: (url ?? "").split("?")[0]?.slice(0, 200) ?? "" },
      })
      .catch(onError);
  };

  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === HEALTH_PATH && request.method === "GET") {
      send(response, 200, { status: "serving" });
      return;
    }
    answer(request).then(
      (result) => send(response, result === undefined ? 204 : 200, result),
      async (error: unknown) => {
        const failure = asFailure(error, onError);
        await recordRefusal(failure, request);
        send(response, failure.status, failure.body, failure.headers);
      },
    );
  };
};

const NOT_LET_IN: ReadonlySet<number> = new Set([401, 403, 421]);

const checkScope = (route: AdminRoute, { scope }: AdminCaller): void => {
  const needed: AdminScope = route.scope ?? (route.method === "GET" ? "read" : "write");
  if (RANKS[scope] >= RANKS[needed]) return;
  const message = `${route.method} ${route.path} needs ${NEEDED[needed]}, and the token may only ${scope}`;
  throw new AdminFailure(403, { error: "forbidden", message });
};

const RANKS: Readonly<Record<AdminScope, number>> = { read: 0, write: 1, root: 2 };
const NEEDED: Readonly<Record<AdminScope, string>> = {
  read: "a token",
  write: "a token of the scope write",
  root: "the token of admin.json",
};

/** Taken as it was sent: nothing is put right, so that no other reader on the way sees another path. */
const targetOf = (url: string): { readonly path: string; readonly query: Readonly<Record<string, string>> } => {
  const [path = "", query = ""] = url.split(/\?(.*)/s);
  if (!/^\/[\x21\x24-\x7e]*$/.test(path) || path.startsWith("//"))
    throw badRequest("the target is no path of this server");
  return { path, query: Object.fromEntries(new URLSearchParams(query)) };
};

const findRoute = (
  routes: readonly AdminRoute[],
  method: string,
  path: string,
): { readonly route: AdminRoute; readonly parts: readonly string[] } => {
  const segments = path.split("/");
  const fitting = routes.flatMap((route) => {
    const parts = openParts(route.path.split("/"), segments);
    return parts === undefined ? [] : [{ route, parts }];
  });
  if (fitting.length === 0) throw notFound("not-found", `there is no ${path} in the admin API`);
  const found = fitting.find(({ route }) => route.method === method);
  if (found !== undefined) return found;
  const allow = fitting.map(({ route }) => route.method).join(", ");
  throw new AdminFailure(
    405,
    { error: "method-not-allowed", message: `${path} takes ${allow}, not ${method}` },
    { allow },
  );
};

const openParts = (pattern: readonly string[], segments: readonly string[]): readonly string[] | undefined => {
  if (pattern.length !== segments.length) return undefined;
  const parts: string[] = [];
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (expected === "*" && segment !== "") parts.push(decoded(segment));
    else if (expected !== segment) return undefined;
  }
  return parts;
};

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
};

const asFailure = (error: unknown, onError: (error: unknown) => void): AdminFailure => {
  if (error instanceof AdminFailure) return error;
  if (error instanceof PolicyError) {
    return new AdminFailure(422, { error: "invalid-policies", problems: error.problems });
  }
  if (error instanceof StoreError && error.code === "contended") {
    return new AdminFailure(503, { error: "contended", message: error.message }, { "retry-after": "1" });
  }
  if (error instanceof StoreError && error.code === "commit-too-large") {
    return new AdminFailure(413, { error: "too-large", message: error.message });
  }
  onError(error);
  const body: AdminError = { error: "internal", message: "the config-server failed; its log says why" };
  return new AdminFailure(500, body);
};

const send = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  if (response.destroyed) return;
  const text = body === undefined ? "" : JSON.stringify(body);
  response.writeHead(status, {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    ...headers,
  });
  response.end(text);
};
