import type { EffectiveSessionAffinity } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { headerOf } from "../call.ts";
import { cookieOf } from "../cookie.ts";
import { type Hash64, hexOf, xxh64 } from "../hashing/xxh64.ts";
import type { Reply } from "../reply.ts";
import { withHeaders } from "../reply-headers.ts";
import type { Call } from "../send.ts";

/** What a session's value says. */
export interface Session {
  /** Tells a destination among those of the called service. */
  readonly tag: string;
  /** When it began, seconds since 1970. */
  readonly beganS: number;
}

/** A longer value is none of ours and is not looked into. */
const MAX_VALUE_LENGTH = 256;

/** The only version so far. Fields that a later one adds stand behind those of this one, and are passed over here. */
const VERSION = "1";

/** Writes a session: `1.<tag>.<seconds, base 36>`, all of it characters that a cookie may have. */
export const formatSession = ({ tag, beganS }: Session): string => `${VERSION}.${tag}.${beganS.toString(36)}`;

/** Reads what {@link formatSession} wrote; `undefined` for anything else. */
export const parseSession = (value: string): Session | undefined => {
  if (value.length > MAX_VALUE_LENGTH) return undefined;
  const [version, tag, began] = value.split(".");
  if (version !== VERSION || tag === undefined || tag === "" || began === undefined) return undefined;
  const beganS = /^[0-9a-z]{1,10}$/.test(began) ? Number.parseInt(began, 36) : Number.NaN;
  return Number.isSafeInteger(beganS) ? { tag, beganS } : undefined;
};

/**
 * The tag of a destination, the same in every process. Made with the called service's own seed, so that a session with one
 * service means nothing to another, and no name of the mesh is told to browsers.
 */
export const destinationTag = (destination: string, seed: Hash64): string => hexOf(xxh64(destination, seed));

/** The sessions of one rule. */
export class Sessions<Destination> {
  readonly #affinity: EffectiveSessionAffinity;
  readonly #clock: Clock;
  readonly #byTag = new Map<string, Destination>();
  readonly #tags = new Map<Destination, string>();

  /** @param destinations by their names, `service:subset`; all that a session may stay with. */
  constructor(
    affinity: EffectiveSessionAffinity,
    destinations: ReadonlyMap<string, Destination>,
    seed: Hash64,
    clock: Clock,
  ) {
    this.#affinity = affinity;
    this.#clock = clock;
    for (const [name, destination] of destinations) {
      const tag = destinationTag(name, seed);
      this.#byTag.set(tag, destination);
      this.#tags.set(destination, tag);
    }
  }

  /** Where a call's session stays; `undefined` for a call of none, of one that is over, or whose destination has left. */
  find({ headers }: Call): Destination | undefined {
    const { by, name, ttlMs } = this.#affinity;
    const value = by === "cookie" ? cookieOf(headers, name) : headerOf(headers, name);
    const session = value === undefined ? undefined : parseSession(value);
    if (session === undefined) return undefined;
    if (this.#clock.wallNow() - session.beganS * 1_000 >= ttlMs) return undefined;
    return this.#byTag.get(session.tag);
  }

  /** Begins a session: the reply tells it to the caller. */
  begin(destination: Destination, reply: Reply): Reply {
    const { by, name, attributes } = this.#affinity;
    const tag = this.#tags.get(destination);
    if (tag === undefined) return reply;
    const value = formatSession({ tag, beganS: Math.floor(this.#clock.wallNow() / 1_000) });
    return by === "cookie"
      ? withHeaders(reply, (headers) => [...headers, "set-cookie", `${name}=${value}${attributes}`])
      : withHeaders(reply, (headers) => [...without(headers, name), name, value]);
  }
}

const without = (headers: readonly string[], name: string): readonly string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== name);
