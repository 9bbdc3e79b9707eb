import type { EffectiveEndpointAffinity, SessionEndpointState } from "@tulle/policy";
import { type Candidate, carries, type EndpointSet } from "../endpoints/endpoint-set.ts";
import { type EndpointState, stateOf } from "../endpoints/endpoint-state.ts";
import { type Hash64, hexOf, xxh64 } from "../hashing/xxh64.ts";
import type { Attempt, Call } from "../send.ts";

/** The tag of an endpoint, the same in every process that knows it by this id, and no name to browsers. */
export const endpointTag = (id: string, seed: Hash64): string => hexOf(xxh64(id, seed));

/** What becomes of a call by its session, for explanations. */
export interface SessionDescription {
  /** Where the session's endpoint may be called, its id. */
  readonly endpoint: string | undefined;
  /** Whether the call fails otherwise, instead of going to another endpoint. */
  readonly strict: boolean;
}

/** How the sessions of a rule stay with the endpoints of one destination. */
export class EndpointSessions {
  readonly #affinity: EffectiveEndpointAffinity;
  readonly #seed: Hash64;
  readonly #endpoints: EndpointSet;
  readonly #labels: Readonly<Record<string, string>> | undefined;
  /** Made anew when an endpoint changes, not for each call. */
  #known: { readonly all: readonly Candidate[]; readonly byTag: ReadonlyMap<string, Candidate> } | undefined;

  /**
   * @param seed that of the destinations' tags.
   * @param labels of the subset: an endpoint that has left it is left by its sessions.
   */
  constructor(
    affinity: EffectiveEndpointAffinity,
    seed: Hash64,
    endpoints: EndpointSet,
    labels: Readonly<Record<string, string>> | undefined,
  ) {
    this.#affinity = affinity;
    this.#seed = seed;
    this.#endpoints = endpoints;
    this.#labels = labels;
  }

  /**
   * The endpoint that the attempt goes to by its call's session; `undefined`: it is for the balancer to pick, or where the
   * session {@link insists}, for nobody. A retry goes elsewhere, as any other does.
   *
   * @param open those that the balancer would pick from.
   */
  endpointOf(call: Call, attempt: Attempt, open: readonly Candidate[], nowMs: number): Candidate | undefined {
    return attempt.number > 1 && !this.#affinity.strict ? undefined : this.#held(call, open, nowMs);
  }

  /** What becomes of a call; `undefined` for one of no session. */
  describe(call: Call, open: readonly Candidate[], nowMs: number): SessionDescription | undefined {
    if (call.sessionEndpoint === undefined) return undefined;
    return { endpoint: this.#held(call, open, nowMs)?.endpoint.id, strict: this.#affinity.strict };
  }

  #held(call: Call, open: readonly Candidate[], nowMs: number): Candidate | undefined {
    const tag = call.sessionEndpoint;
    if (tag === undefined) return undefined;
    const held = this.#find(tag);
    if (held === undefined || !carries(held.endpoint, this.#labels)) return undefined;
    const state = open.includes(held) ? stateOf(held, nowMs) : closedState(held, nowMs);
    return this.#affinity.states.has(asSessionsSee[state]) ? held : undefined;
  }

  /** Whether the call may go to the endpoint of its session alone. */
  insists(call: Call): boolean {
    return this.#affinity.strict && call.sessionEndpoint !== undefined;
  }

  #find(tag: string): Candidate | undefined {
    const all = this.#endpoints.all();
    if (this.#known?.all !== all) {
      const byTag = new Map(all.map((candidate) => [endpointTag(candidate.endpoint.id, this.#seed), candidate]));
      this.#known = { all, byTag };
    }
    return this.#known.byTag.get(tag);
  }
}

/** Of an endpoint that the balancer is not shown: who is not out by the registry's word said itself that it drains. */
const closedState = (candidate: Candidate, nowMs: number): EndpointState => {
  const state = stateOf(candidate, nowMs);
  return asSessionsSee[state] === "unhealthy" ? state : "draining";
};

const asSessionsSee: Readonly<Record<EndpointState, SessionEndpointState>> = {
  healthy: "healthy",
  stale: "healthy",
  pending: "healthy",
  degraded: "degraded",
  draining: "draining",
  unhealthy: "unhealthy",
  ejected: "unhealthy",
  unreachable: "unhealthy",
  expired: "unhealthy",
};
