import type { Gate } from "../gate.ts";
import { addHeader, takeHeadersOut } from "../header-views.ts";
import { takeTokensOut } from "../tokens/token-places.ts";
import type { AuthenticationKit } from "./authenticate-request.ts";

/**
 * Makes the request what the handler and the access rules are to see of its end user: claims stand in their headers, and
 * tokens are gone where the rules do not forward them. Refuses nobody.
 */
export const presentEndUser =
  ({ current, tokens, touchHeaders, endUsers }: AuthenticationKit): Gate =>
  (visit) => {
    const policy = current.policy;
    if (policy === undefined || policy.jwt.length === 0 || !touchHeaders) return undefined;
    const { request } = visit;
    const names = tokens.ownHeaders;
    // Since they were first taken out an authorizer may have added some, or the rules may have become others.
    if (names.size > 0) takeHeadersOut(request, (name) => names.has(name));
    const user = endUsers.get(visit);
    if (user === undefined) return undefined;
    takeTokensOut(request, user.hidden);
    for (const [name, value] of user.proven.headers) addHeader(request, name, value);
    return undefined;
  };
