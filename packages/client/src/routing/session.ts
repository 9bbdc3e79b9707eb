import type { EffectiveSessionAffinity } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { headerOf } from "../call.ts";
import { cookieOf } from "../cookie.ts";
import { type Hash64, hexOf, xxh64 } from "../hashing/xxh64.ts";
import type { Reply } from "../reply.ts";
import { withHeaders } from "../reply-headers.ts";
import type { Call } from "../send.ts";
import { endpointTag } from "./endpoint-session.ts";

/** What a session's value says. */
export interface Session {
  /** Tells a destination among those of the called service. */
  readonly tag: string;
  /** When it began, seconds since 1970. */
  readonly beganS: number;
  /** Tells an endpoint of that destination; `undefined`: the session stays with the destination alone. */
  readonly endpoint?: string | undefined;
}

/** Where a call's session stays. */
export interface Held<Destination> {
  readonly destination: Destination;
  /** The tag of the endpoint, where it has one. */
  readonly endpoint: string | undefined;
}

/** A longer value is none of ours and is not looked into. */
const MAX_VALUE_LENGTH = 256;

/** The only version so far. Fields that a later one adds stand behind those of this one, and are passed over here. */
const VERSION = "1";

/** Writes a session: `1.<tag>.<seconds, base 36>` and `.<endpoint's tag>`, all of it characters that a cookie may have. */
export const formatSession = ({ tag, beganS, endpoint }: Session): string =>
  `${VERSION}.${tag}.${beganS.toString(36)}${endpoint === undefined ? "" : `.${endpoint}`}`;

/** Reads what {@link formatSession} wrote; `undefined` for anything else. */
export const parseSession = (value: string): Session | undefined => {
  if (value.length > MAX_VALUE_LENGTH) return undefined;
  const [version, tag, began, endpoint = ""] = value.split(".");
  if (version !== VERSION || tag === undefined || tag === "" || began === undefined) return undefined;
  const beganS = /^[0-9a-z]{1,10}$/.test(began) ? Number.parseInt(began, 36) : Number.NaN;
  if (!Number.isSafeInteger(beganS)) return undefined;
  return /^[0-9a-f]{16}$/.test(endpoint) ? { tag, beganS, endpoint } : { tag, beganS };
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
  readonly #seed: Hash64;
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
    this.#seed = seed;
    for (const [name, destination] of destinations) {
      const tag = destinationTag(name, seed);
      this.#byTag.set(tag, destination);
      this.#tags.set(destination, tag);
    }
  }

  /** Where a call's session stays; `undefined` for a call of none, of one that is over, or whose destination has left. */
  find({ headers }: Call): Held<Destination> | undefined {
    const { by, name, ttlMs } = this.#affinity;
    const value = by === "cookie" ? cookieOf(headers, name) : headerOf(headers, name);
    const session = value === undefined ? undefined : parseSession(value);
    if (session === undefined) return undefined;
    if (this.#clock.wallNow() - session.beganS * 1_000 >= ttlMs) return undefined;
    const destination = this.#byTag.get(session.tag);
    if (destination === undefined) return undefined;
    return { destination, endpoint: this.perEndpoint ? session.endpoint : undefined };
  }

  /** Whether sessions stay with endpoints. */
  get perEndpoint(): boolean {
    return this.#affinity.endpoint !== undefined;
  }

  /** Goes on with a session that stays with endpoints: begins it anew where another one than its own has answered. */
  goOn({ destination, endpoint }: Held<Destination>, call: Call, reply: Reply): Reply {
    return this.#answeredBy(call, reply) === endpoint ? reply : this.begin(destination, call, reply);
  }

  /** Begins a session: the reply tells it to the caller. */
  begin(destination: Destination, call: Call, reply: Reply): Reply {
    const { by, name, attributes } = this.#affinity;
    const tag = this.#tags.get(destination);
    if (tag === undefined) return reply;
    const endpoint = this.perEndpoint ? this.#answeredBy(call, reply) : undefined;
    const value = formatSession({ tag, beganS: Math.floor(this.#clock.wallNow() / 1_000), endpoint });
    return by === "cookie"
      ? withHeaders(reply, (headers) => [...headers, "set-cookie", `${name}=${value}${attributes}`])
      : withHeaders(reply, (headers) => [...without(headers, name), name, value]);
  }

  /** The tag of the endpoint that answered: of the last attempt that came to this answer. */
  #answeredBy({ attempts }: Call, { status }: Reply): string | undefined {
    const id = attempts.findLast((attempt) => attempt.status === status)?.endpoint;
    return id === undefined ? undefined : endpointTag(id, this.#seed);
  }
}

const without = (headers: readonly string[], name: string): readonly string[] =>
  headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== name);
