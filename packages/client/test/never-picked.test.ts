import type { Balancer, Credentials, Endpoint, EndpointHealth, Locality, ServicePolicy } from "@tulle/policy";
import { createTestAuthority, FakeClock, seededRandom } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { DRAIN_HINT_MS } from "../src/endpoints/endpoint-set.ts";
import { DRAIN_HEADER, LOAD_REPORT_HEADER } from "../src/transport/control-headers.ts";
import { clientOf, snapshotOf } from "./mesh-of-servers.ts";
import { TestServer } from "./transport-kit.ts";

/** What a server does with its calls. */
type Behaviour = "answers" | "fails" | "breaks off" | "drains";

type Step =
  | { readonly kind: "call"; readonly key: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "behave"; readonly at: number; readonly as: Behaviour }
  /** The registry says so; `undefined`: it has left. */
  | { readonly kind: "register"; readonly at: number; readonly health: EndpointHealth | undefined };

const COUNT = 6;
const zones = ["a", "b", "c"];

const authority = await createTestAuthority("cluster.local");
const own: Credentials = await authority.issue({ serviceAccount: "productpage" });
const theirs = await authority.issue({ serviceAccount: "reviews" });

/** Whom the last call reached. */
let reached: number | undefined;
const behaviours: Behaviour[] = [];

const servers = await Promise.all(
  Array.from({ length: COUNT }, (_, at) =>
    TestServer.https(
      { key: theirs.privateKey, cert: theirs.certificateChain, ca: [authority.root], requestCert: true },
      (request, response) => {
        reached = at;
        const behaviour = behaviours[at] ?? "answers";
        if (behaviour === "breaks off") {
          request.socket.destroy();
          return;
        }
        response.setHeader(
          LOAD_REPORT_HEADER,
          `TEXT application_utilization=0.${at + 1},rps_fractional=10,named_metrics.rif=${at},named_metrics.latency_ms=${at + 1}`,
        );
        if (behaviour === "drains") response.setHeader(DRAIN_HEADER, "1");
        response.writeHead(behaviour === "fails" ? 503 : 200).end();
      },
    ),
  ),
);

afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

const endpointOf = (at: number, health: EndpointHealth): Endpoint =>
  (servers[at] as TestServer).endpoint({
    id: `reviews-${at}`,
    transport: "mtls",
    health,
    weight: 1 + (at % 3),
    locality: { region: "eu", zone: zones[at % zones.length] ?? "" },
  });

/** What is known of an endpoint from outside the client. */
interface Known {
  health: EndpointHealth | undefined;
  drainsUntilMs: number;
  ejectedUntilMs: number;
  /** It broke off a call and has answered none since: it may be on probation, so nobody must be sent to it instead. */
  doubtful: boolean;
}

const isRegistered = ({ health }: Known): boolean => health === "healthy" || health === "stale";

/** Goes through the steps and tells each call that reached whom it must not. */
const misses = async (policy: Partial<ServicePolicy>, taken: readonly Step[], seed: number): Promise<string[]> => {
  const clock = new FakeClock();
  const known = Array.from(
    { length: COUNT },
    (): Known => ({ health: "healthy", drainsUntilMs: 0, ejectedUntilMs: 0, doubtful: false }),
  );
  behaviours.splice(0, COUNT, ...known.map((): Behaviour => "answers"));
  const snapshot = (revision: number) =>
    snapshotOf(
      {
        reviews: {
          endpoints: known.flatMap(({ health }, at) => (health === undefined ? [] : [endpointOf(at, health)])),
          policy: {
            // Nothing but the pick decides, and every failure counts.
            circuitBreaker: false,
            outlierDetection: { consecutive5xx: 2, baseEjectionTime: "30s", maxEjectionPercent: 100 },
            panicThreshold: 0,
            hashKey: [{ header: "x-user" }],
            ...policy,
          },
          routes: [{ kind: "Route", name: "once", services: ["reviews"], rules: [{ retry: false }] }],
        },
      },
      undefined,
      `static.${revision}`,
    );
  const outbound = new Watchable(snapshot(0));
  await using client = clientOf(outbound, {
    clock,
    random: seededRandom(seed),
    credentials: constant(own),
    locality: { region: "eu", zone: "a" },
    onEjection: (_service, decision) => {
      const each = known[Number(decision.endpoint.split("-")[1])];
      if (decision.ejected && each !== undefined) each.ejectedUntilMs = clock.now() + decision.forMs;
    },
  });
  const found: string[] = [];
  const call = async (key: number): Promise<void> => {
    const nowMs = clock.now();
    const mayBePicked = known.map(
      (each) => isRegistered(each) && nowMs >= each.drainsUntilMs && nowMs >= each.ejectedUntilMs,
    );
    const anotherLives = known.some(({ doubtful }, at) => mayBePicked[at] === true && !doubtful);
    const before = known.map((each) => ({ ...each }));
    reached = undefined;
    await client.request("http://reviews/", { headers: { "x-user": String(key) } }).then(
      ({ body }) => body.dump(),
      () => undefined,
    );
    if (reached === undefined) {
      if (anotherLives) found.push(`nobody at ${nowMs}, though one lives`);
      return;
    }
    const each = before[reached];
    if (each === undefined || !isRegistered(each)) found.push(`${reached}, which is ${each?.health}, at ${nowMs}`);
    else if (anotherLives && mayBePicked[reached] !== true) {
      found.push(`${reached} at ${nowMs}, drains until ${each.drainsUntilMs}, ejected until ${each.ejectedUntilMs}`);
    }
    const now = known[reached];
    if (now !== undefined) now.doubtful = behaviours[reached] === "breaks off";
    if (behaviours[reached] === "drains" && now !== undefined && nowMs >= now.drainsUntilMs) {
      now.drainsUntilMs = nowMs + DRAIN_HINT_MS;
    }
  };
  let revision = 0;
  for (const step of taken) {
    switch (step.kind) {
      case "call":
        await call(step.key);
        break;
      case "wait":
        clock.advance(step.ms);
        break;
      case "behave":
        behaviours[step.at] = step.as;
        break;
      case "register": {
        const each = known[step.at];
        if (each === undefined) break;
        const wasCallable = isRegistered(each);
        each.health = step.health;
        // Whoever left, or comes back, begins anew.
        if (!wasCallable || !isRegistered(each)) {
          each.drainsUntilMs = 0;
          each.ejectedUntilMs = 0;
          each.doubtful = false;
        }
        outbound.set(snapshot(++revision));
      }
    }
  }
  return found;
};

const place = fc.nat({ max: COUNT - 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("call" as const), key: fc.nat({ max: 20 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(50, 1_000, 15_000, 61_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("behave" as const),
      at: place,
      as: fc.constantFrom<Behaviour>("answers", "fails", "breaks off", "drains"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("register" as const),
      at: place,
      health: fc.constantFrom<(EndpointHealth | undefined)[]>("healthy", "stale", "draining", "unhealthy", undefined),
    }),
  },
);

/** Without the bias towards small numbers, which in few runs would be one endpoint all the time. */
const steps = fc.noBias(fc.array(step, { minLength: 60, maxLength: 60 }));

const balancers: Record<string, Balancer> = {
  "peak-ewma": { algorithm: "peak-ewma" },
  "least-request": { algorithm: "least-request" },
  "least-request, full scan": { algorithm: "least-request", selection: "full-scan" },
  "round-robin": { algorithm: "round-robin" },
  random: { algorithm: "random" },
  "weighted-round-robin": { algorithm: "weighted-round-robin", blackoutPeriod: "0s", weightUpdatePeriod: "100ms" },
  prequal: { algorithm: "prequal" },
  "ring-hash": { algorithm: "ring-hash", minimumRingSize: 64, maximumRingSize: 256 },
  "ring-hash, bounded load": { algorithm: "ring-hash", minimumRingSize: 64, maximumRingSize: 256, balanceFactor: 125 },
  maglev: { algorithm: "maglev", tableSize: 251 },
};

const isHashing = ({ algorithm }: Balancer): boolean => algorithm === "ring-hash" || algorithm === "maglev";

const localities: Record<string, Locality> = {
  failover: { mode: "failover" },
  distribute: { mode: "distribute", distribute: [{ from: "*", to: { "eu/a/*": 60, "eu/b/*": 30, "eu/c/*": 10 } }] },
  weighted: { mode: "weighted" },
  "zone-aware": { mode: "zone-aware", minimumClusterSize: 2 },
};

/** The policies that each balancer is tried under. */
const policiesOf = (balancer: Balancer): readonly (readonly [string, Partial<ServicePolicy>])[] => [
  ["alone", { balancer }],
  ["with slow start", { balancer, slowStart: { window: "30s" } }],
  ...(isHashing(balancer) ? [] : [["with subsetting", { balancer, subsetting: { size: 2 } }] as const]),
  ...Object.entries(localities).map(([name, locality]) => [`by ${name}`, { balancer, locality }] as const),
];

describe.each(Object.entries(balancers))(
  "%s picks no ejected, unhealthy or draining endpoint while another lives",
  (_name, balancer) => {
    test.each(policiesOf(balancer))("%s", async (_title, policy) => {
      await fc.assert(
        fc.asyncProperty(steps, fc.nat(), async (steps, seed) => {
          expect(await misses(policy, steps, seed)).toEqual([]);
        }),
        { numRuns: 3, seed: 42, endOnFailure: true },
      );
    });
  },
);
