import { type GeneratedCookie, generatedCookieAttributes } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { cookieOf } from "../cookie.ts";
import { hexOf, randomHash } from "../hashing/xxh64.ts";
import { withHeaders } from "../reply-headers.ts";
import type { Layer } from "../send.ts";

/**
 * Gives a caller without the cookie that its calls are told apart by one of its own: the call is hashed by it at once, and
 * the reply sets it, so that the next call lands on the same endpoint. The endpoint itself does not see it before.
 */
export const giveHashCookies = (cookies: readonly GeneratedCookie[], random: Random): Layer => {
  const written = cookies.map((cookie) => ({ name: cookie.name, attributes: generatedCookieAttributes(cookie) }));
  return (next) => (call) => {
    const missing = written.filter(({ name }) => cookieOf(call.headers, name) === undefined);
    if (missing.length === 0) return next(call);
    const given = new Map(missing.map(({ name }) => [name, hexOf(randomHash(random))]));
    call.givenCookies = given;
    const lines = missing.flatMap(({ name, attributes }) => ["set-cookie", `${name}=${given.get(name)}${attributes}`]);
    return next(call).then((reply) => withHeaders(reply, (headers) => [...headers, ...lines]));
  };
};
