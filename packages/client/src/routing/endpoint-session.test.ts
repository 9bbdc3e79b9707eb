import { type EndpointAffinity, effectiveEndpointAffinity } from "@tulle/policy";
import { expect, test } from "vitest";
import { endpointAt } from "../../test/mesh-of-servers.ts";
import { callOf } from "../../test/scripted.ts";
import { beginAttempt } from "../call.ts";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import type { Candidate, EndpointSet } from "../endpoints/endpoint-set.ts";
import { xxh64 } from "../hashing/xxh64.ts";
import type { EndpointPool } from "../transport/endpoint-pool.ts";
import { EndpointSessions, endpointTag } from "./endpoint-session.ts";

const seed = xxh64("default/reviews");

const candidateAt = (port: number, changes: Partial<Candidate["endpoint"]> = {}): Candidate => ({
  endpoint: { ...endpointAt(port, { version: "v1" }), ...changes },
  figures: newFigures(0),
  // Nothing here is sent.
  pool: undefined as unknown as EndpointPool,
});

const setOf = (all: readonly Candidate[]): EndpointSet => ({
  update: () => undefined,
  subset: () => all,
  all: () => all,
  markDraining: () => undefined,
  close: () => Promise.resolve(),
});

/** Where the first attempt of a call goes whose session is with this endpoint. */
const held = (
  candidate: Candidate,
  affinity: EndpointAffinity = {},
  { shown = true, attempts = 1, subset = { version: "v1" } } = {},
) => {
  const effective = effectiveEndpointAffinity({ endpoint: affinity })!;
  const sessions = new EndpointSessions(effective, seed, setOf([candidateAt(1), candidate]), subset);
  const call = callOf();
  call.sessionEndpoint = endpointTag(candidate.endpoint.id, seed);
  const made = Array.from({ length: attempts }, () => beginAttempt(call, 0));
  return sessions.endpointOf(call, made.at(-1)!, shown ? [candidate] : [], 0)?.endpoint.port;
};

const troubled = (change: (candidate: Candidate) => void): Candidate => {
  const candidate = candidateAt(2);
  change(candidate);
  return candidate;
};

test.each<[string, Candidate]>([
  ["healthy", candidateAt(2)],
  ["stale", candidateAt(2, { health: "stale" })],
  ["checked for the first time", troubled(({ figures }) => Object.assign(figures.health, { state: "pending" }))],
  ["degraded", troubled(({ figures }) => Object.assign(figures.health, { state: "healthy", degraded: true }))],
])("a session stays with an endpoint that is %s", (_, candidate) => {
  expect(held(candidate)).toBe(2);
});

test.each<[string, Candidate]>([
  ["draining", candidateAt(2, { health: "draining" })],
  ["unhealthy to the registry", candidateAt(2, { health: "unhealthy" })],
  ["unhealthy to checks", troubled(({ figures }) => Object.assign(figures.health, { state: "unhealthy" }))],
  ["ejected", troubled(({ figures }) => Object.assign(figures.outlier, { ejectedUntilMs: 10 }))],
  ["not to be reached", troubled(({ figures }) => Object.assign(figures.reach, { failures: 1, avoidedUntilMs: 10 }))],
  ["stale for too long", troubled(({ figures }) => Object.assign(figures, { expiresAtMs: 0 }))],
])("a session leaves an endpoint that is %s, unless its policy says otherwise", (_, candidate) => {
  expect(held(candidate)).toBeUndefined();
  expect(held(candidate, { states: ["draining", "unhealthy"] })).toBe(2);
});

test("an endpoint that says itself that it drains is left as one of which the registry says so", () => {
  expect(held(candidateAt(2), {}, { shown: false })).toBeUndefined();
  expect(held(candidateAt(2), { states: ["draining"] }, { shown: false })).toBe(2);
  expect(held(candidateAt(2, { health: "unhealthy" }), { states: ["draining"] }, { shown: false })).toBeUndefined();
});

test("a session leaves an endpoint that has left its subset", () => {
  expect(held(candidateAt(2), {}, { subset: { version: "v2" } })).toBeUndefined();
});

test("a retry goes elsewhere, and to the same endpoint where the policy is strict", () => {
  expect(held(candidateAt(2), {}, { attempts: 2 })).toBeUndefined();
  expect(held(candidateAt(2), { strict: true }, { attempts: 2 })).toBe(2);
});

test("tags name no endpoint, and those of two services have nothing in common", () => {
  expect(endpointTag("reviews-1", seed)).toMatch(/^[0-9a-f]{16}$/);
  expect(endpointTag("reviews-1", seed)).not.toBe(endpointTag("reviews-1", xxh64("default/ratings")));
});
