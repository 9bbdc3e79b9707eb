import type { IncomingMessage } from "node:http";
import type { Gate, Refusal, Visit } from "../gate.ts";
import { takeHeadersOut, takeTrailersOut } from "../header-views.ts";
import type { InboundPolicy } from "../inbound-policy.ts";
import { isFlaw } from "../tokens/compact-token.ts";
import type { Authenticated, EndUser, TokenDesk } from "../tokens/token-desk.ts";

/** What the gate needs. */
export interface AuthenticationKit {
  readonly current: { readonly policy: InboundPolicy | undefined };
  readonly tokens: Pick<TokenDesk, "authenticate" | "ownHeaders">;
  /** False while the service has not moved in: then the request stays as it came. */
  readonly touchHeaders: boolean;
  /** Whom `presentEndUser` is to tell the handler of. */
  readonly endUsers: WeakMap<Visit, EndUser>;
}

/**
 * Says who the end user is, by the request's tokens, and refuses a request with a bad one. Takes headers that only proven
 * claims may fill from everybody, peers in the mesh too.
 */
export const authenticateRequest =
  ({ current, tokens, touchHeaders, endUsers }: AuthenticationKit): Gate =>
  (visit) => {
    const policy = current.policy;
    if (policy === undefined || policy.jwt.length === 0) return undefined;
    const { request } = visit;
    const names = tokens.ownHeaders;
    // What stands in a place for tokens is looked at before the place is emptied.
    const answer = isPreflight(request) ? undefined : tokens.authenticate(request);
    if (touchHeaders && names.size > 0) {
      takeHeadersOut(request, (name) => names.has(name));
      takeTrailersOut(request, (name) => names.has(name));
    }
    return answer instanceof Promise
      ? answer.then((found) => conclude(visit, found, endUsers))
      : conclude(visit, answer, endUsers);
  };

/** Browsers ask for permission without any credentials (Istio). */
const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === "OPTIONS" && (headers.origin ?? "") !== "" && (headers["access-control-request-method"] ?? "") !== "";

const conclude = (visit: Visit, found: Authenticated, endUsers: WeakMap<Visit, EndUser>): Refusal | undefined => {
  if (found === undefined) return undefined;
  if (isFlaw(found)) return { code: found.code, detail: found.detail, challenge: challengeOf(visit, found.code) };
  visit.token = found.proven.token;
  endUsers.set(visit, found);
  return undefined;
};

const MAX_REALM_CHARACTERS = 256;

/** As Envoy writes it, but for the query, which may hold the token itself. Of a missing token there is no error to tell (RFC 6750, 3.1). */
const challengeOf = ({ request, path, peer }: Visit, code: string): string => {
  const scheme = peer?.transport === "plaintext" ? "http" : "https";
  const realm = `${scheme}://${request.headers.host ?? request.headers[":authority"] ?? ""}${path}`.replaceAll(
    /[^\x21\x23-\x5b\x5d-\x7e]/g,
    "",
  );
  const error = code === "TOKEN_MISSING" ? "" : ', error="invalid_token"';
  return `Bearer realm="${realm.slice(0, MAX_REALM_CHARACTERS)}"${error}`;
};
