import type { HashKey } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { headerOf } from "../call.ts";
import { cookieOf } from "../cookie.ts";
import type { Call } from "../send.ts";
import { type Hash64, xxh64 } from "./xxh64.ts";

/** Who makes the calls, for keys of the kind `source`. */
export interface HashSource {
  /** The same for all processes of the calling service: `namespace/service`. */
  readonly service: string;
  /** Of this process alone. */
  readonly instance: string;
}

/** Who a client's process is. The instance is drawn when a policy first asks for it. */
export const hashSourceOf = (service: string, random: Random): HashSource => {
  let instance: string | undefined;
  return {
    service,
    get instance() {
      instance ??= String(random());
      return instance;
    },
  };
};

/** The hash of a call; `undefined` for one that has none of the keys. */
export type CallHash = (call: Call) => Hash64 | undefined;

/**
 * Compiles hash keys to the hash of a call. Several keys are combined as Envoy does: the hash so far is rotated by one bit
 * and joined with the next by exclusive or; after a `terminal` key that the call has, no other is looked at.
 *
 * @param seed hashes of one seed agree with each other, those of two have nothing in common.
 */
export const compileCallHash = (keys: readonly HashKey[], source: HashSource, seed: number | Hash64): CallHash => {
  const steps = keys.map((key) => ({ read: readerOf(key, source), terminal: key.terminal === true }));
  return (call) => {
    let hash: Hash64 | undefined;
    for (const { read, terminal } of steps) {
      const value = read(call);
      if (value === undefined) continue;
      const next = xxh64(value, seed);
      hash = hash === undefined ? next : combine(hash, next);
      if (terminal) return hash;
    }
    return hash;
  };
};

const combine = (so: Hash64, next: Hash64): Hash64 => ({
  high: (((so.high << 1) | (so.low >>> 31)) ^ next.high) >>> 0,
  low: (((so.low << 1) | (so.high >>> 31)) ^ next.low) >>> 0,
});

const readerOf = (key: HashKey, source: HashSource): ((call: Call) => string | undefined) => {
  const { header, cookie, query } = key;
  if (header !== undefined) {
    const name = header.toLowerCase();
    return ({ headers }) => headerOf(headers, name);
  }
  if (cookie !== undefined)
    return ({ headers, givenCookies }) => cookieOf(headers, cookie) ?? givenCookies?.get(cookie);
  if (query !== undefined) return ({ path }) => parameterOf(path, query);
  const value = key.source === "instance" ? source.instance : source.service;
  return () => value;
};

const parameterOf = (path: string, name: string): string | undefined => {
  const at = path.indexOf("?");
  return at < 0 ? undefined : (new URLSearchParams(path.slice(at)).get(name) ?? undefined);
};
