import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { PolicyError } from "@tulle/policy";
import type { AdminError } from "@tulle/protocol";
import { StoreError } from "../store/store-error.ts";
import { AdminFailure, notFound } from "./admin-failure.ts";
import { readJsonBody } from "./read-body.ts";
import type { AdminRequest, AdminRoute } from "./routes.ts";

/** What answers requests of the admin API. */
export interface AdminHandlerOptions {
  readonly routes: readonly AdminRoute[];
  /** The one secret that opens the API. */
  readonly token: string;
  /** Hears of failures that are the server's own. */
  readonly onError: (error: unknown) => void;
}

/** Answers to anybody, before any token is asked for: that the process lives and serves. */
const HEALTH_PATH = "/healthz";

/** Makes the handler of a `node:https` server. Nothing but the health check is answered without the token, not even 404. */
export const createAdminHandler = ({ routes, token, onError }: AdminHandlerOptions) => {
  const expected = digest(`Bearer ${token}`);

  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const given = request.headers.authorization ?? "";
    // Digests have one length, so the comparison tells nothing about the token.
    if (!timingSafeEqual(digest(given), expected)) {
      throw new AdminFailure(
        401,
        { error: "unauthorized", message: "send authorization: Bearer <token of admin.json in the state folder>" },
        { "www-authenticate": "Bearer" },
      );
    }
    const url = new URL(request.url ?? "/", "https://admin.invalid");
    const { route, parts } = findRoute(routes, request.method ?? "", url.pathname);
    const body = route.method === "POST" ? await readJsonBody(request) : undefined;
    const asked: AdminRequest = { parts, query: Object.fromEntries(url.searchParams), body };
    return route.handle(asked);
  };

  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === HEALTH_PATH && request.method === "GET") {
      send(response, 200, { status: "serving" });
      return;
    }
    answer(request).then(
      (result) => send(response, result === undefined ? 204 : 200, result),
      (error: unknown) => {
        const failure = asFailure(error, onError);
        send(response, failure.status, failure.body, failure.headers);
      },
    );
  };
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

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
