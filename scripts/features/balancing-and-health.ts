import type { FeatureRow } from "./feature-row.ts";

/** How the endpoint of a call is chosen, and who may be. */
export const balancingAndHealth: readonly FeatureRow[] = [
  {
    row: 4,
    capability: "Endpoint staleness bound",
    written: "`staleAfter` of a Service, for endpoints that the registry keeps but has not heard of; never by default",
    example: `
{ kind: Service, name: reviews, staleAfter: 5m }`,
    tests: [
      [
        "packages/client/src/endpoints/endpoint-set.test.ts",
        "is called as a healthy one until the policy's time is over, and expired from then on",
      ],
      [
        "packages/client/src/balancing/pick-usable.test.ts",
        "one that was stale for too long is picked when nobody else is left, and not before",
      ],
    ],
    leftOut: "endpoints of a member that has lost its config server: it goes on with the last list that it had",
  },
  {
    row: 5,
    capability: "Version subsets",
    written: "`subsets` of a Service by labels; a Route's `split` names them",
    example: `
kind: Service
name: reviews
subsets: { v1: { version: v1 }, v2: { version: v2, track: canary } }
---
kind: Route
name: reviews
services: [reviews]
rules:
  - match: [{ headers: { end-user: { exact: jason } } }]
    split: [{ subset: v2 }]
  - split: [{ subset: v1 }]`,
    tests: [
      ["packages/client/src/endpoints/endpoint-set.test.ts", "holds the endpoints that carry all its labels"],
      ["packages/client/test/routing.test.ts", "a call whose drawn subset has no endpoint fails, and goes to no other"],
    ],
    leftOut:
      "filter expressions over more than labels, and a subset for calls that no rule fits (a last rule names it)",
  },
  {
    row: 6,
    capability: "Client subsetting",
    written: "`subsetting: { size }` of a Service, with every balancer that looks at no key",
    example: `
{ kind: Service, name: reviews, subsetting: { size: 20 } }`,
    tests: [
      [
        "packages/client/src/balancing/random-subset.test.ts",
        "when an endpoint leaves or comes, a client exchanges one endpoint at most",
      ],
      [
        "packages/client/src/balancing/random-subset.test.ts",
        "clients choose differently: together they call every endpoint, none much more than its share",
      ],
      [
        "packages/client/test/subsetting.test.ts",
        "a client with a subset of two connects to two of six instances, and to another when both are gone",
      ],
    ],
    leftOut: "deterministic aperture (Finagle), which needs each client to know its place among all",
  },
  {
    row: 7,
    capability: "Endpoint states",
    written:
      "no setting: healthy, stale, draining and unhealthy as the registry, the endpoint's own replies and `healthCheck` say; degraded by the header `x-envoy-degraded` of a check, or of a reply for as many seconds as it says; ejected; unreachable",
    tests: [
      [
        "packages/client/test/mutual-tls.test.ts",
        "no call that begins after the first reply that says so goes to a draining endpoint, and those under way end well",
      ],
      [
        "packages/client/src/balancing/pick-usable.test.ts",
        "picks no unhealthy and no unchecked one while another is left, and well ones while they are enough",
      ],
      [
        "packages/client/src/balancing/pick-usable.test.ts",
        "beside %i healthy ones, %i degraded ones and %i unhealthy ones: %d of the calls go to the degraded",
      ],
      ["packages/client/test/health-checks.test.ts", "hears that an endpoint is degraded"],
      [
        "packages/mesh/test/degraded.test.ts",
        "an instance that says in a reply that it is degraded gets no more calls while the others can bear them",
      ],
    ],
    leftOut: "within `locality` a degraded endpoint counts as healthy",
  },
  {
    row: 8,
    capability: "Default balancer",
    written: "none: `peak-ewma`",
    tests: [["packages/policy/src/effective.test.ts", "the defaults of a mesh of which nothing is said"]],
  },
  {
    row: 9,
    capability: "Weighted round robin",
    written: "`balancer: { algorithm: round-robin }`; weights are those of the endpoints",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: round-robin } }`,
    tests: [
      [
        "packages/client/src/balancing/round-robin.test.ts",
        "gives endpoints of different weights their shares, evenly spaced",
      ],
      ["packages/client/src/balancing/edf-scheduler.test.ts", "starts clients at different places"],
    ],
  },
  {
    row: 10,
    capability: "Random",
    written: "`balancer: { algorithm: random }`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: random } }`,
    tests: [
      [
        "packages/client/src/balancing/random-choice.test.ts",
        "respects weights within five standard deviations of the binomial (seed %i)",
      ],
    ],
  },
  {
    row: 11,
    capability: "Least request",
    written: "`balancer: { algorithm: least-request }` with `choiceCount`, `selection`, `activeRequestBias`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: least-request, choiceCount: 2, activeRequestBias: 1 } }`,
    tests: [
      ["packages/client/src/balancing/least-request.test.ts", "of %i endpoints never picks a busier one"],
      [
        "packages/client/src/balancing/choice-of-n.test.ts",
        "keeps the longest queue as short as the literature says: n balls in n bins, log log n / log d + O(1)",
      ],
    ],
  },
  {
    row: 12,
    capability: "Peak EWMA latency",
    written: "`balancer: { algorithm: peak-ewma }` with `decay`, `defaultRtt`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: peak-ewma, decay: 10s, defaultRtt: 30ms } }`,
    tests: [
      ["packages/client/src/balancing/load-measure.test.ts", "is its latency times the calls it would then have"],
      [
        "benchmarks/processes/balancers.slow.test.ts",
        "with %s a server that is ten times slower gets less than its share, and no call fails",
      ],
      [
        "benchmarks/simulation/simulate.test.ts",
        "beside a slow fifth of %i servers, $algorithm has at most a third of round robin's p99",
      ],
    ],
  },
  {
    row: 13,
    capability: "Failures and 429 count as slow",
    written: "no setting: 5 s, or Retry-After up to 300 s",
    tests: [
      ["packages/client/src/balancing/figures-keeper.test.ts", "weighs five seconds, however fast it came"],
      ["packages/client/src/balancing/figures-keeper.test.ts", "weighs what its Retry-After asks for, up to 300 s"],
    ],
  },
  {
    row: 14,
    capability: "ORCA utilisation-weighted round robin",
    written:
      "`balancer: { algorithm: weighted-round-robin }` with `blackoutPeriod`, `weightExpirationPeriod`, `weightUpdatePeriod`, `errorUtilizationPenalty`; members report in replies, to verified callers that ask; beyond the field: `prequal` on the same reports",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: weighted-round-robin, blackoutPeriod: 10s } }
---
{ kind: Service, name: ratings, balancer: { algorithm: prequal, inFlightQuantile: 0.84 } }`,
    tests: [
      [
        "packages/client/src/balancing/weighted-round-robin.test.ts",
        "an endpoint that does twice as much per utilization gets twice as many calls",
      ],
      [
        "packages/client/src/balancing/weighted-round-robin.test.ts",
        "reports expire, and whoever reports again waits out the blackout",
      ],
      [
        "packages/mesh/test/load-reports.test.ts",
        "with %s members are asked how busy they are, and callers see nothing of it",
      ],
      [
        "packages/client/src/balancing/prequal.test.ts",
        "of those that are not hot the one with the least latency is picked, though it has more in flight",
      ],
    ],
    leftOut: "reports out of band, and figures of an application's own: members report in replies what they measure",
  },
  {
    row: 15,
    capability: "Ring hash",
    written: "`balancer: { algorithm: ring-hash }` with `minimumRingSize`, `maximumRingSize`; `hashKey`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: ring-hash, minimumRingSize: 1024 }, hashKey: [{ header: x-user }] }`,
    tests: [
      ["packages/client/src/balancing/hash-tables.test.ts", "rings are equal, point by point"],
      ["packages/client/src/balancing/hash-tables.test.ts", "moves only the keys of a host that leaves"],
      ["packages/client/test/consistent-hash.test.ts", "%s keeps each user with one instance, and spreads the users"],
    ],
  },
  {
    row: 16,
    capability: "Maglev",
    written: "`balancer: { algorithm: maglev }` with `tableSize`; `hashKey`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: maglev, tableSize: 65537 }, hashKey: [{ cookie: user }] }`,
    tests: [["packages/client/src/balancing/hash-tables.test.ts", "Maglev tables are equal, place by place"]],
  },
  {
    row: 17,
    capability: "Hash key sources",
    written:
      "`hashKey` of a Service: `header`, `cookie` (generated with `ttl` and `path`), `query`, `source`, `terminal`; several are combined",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: ring-hash }, hashKey: [{ cookie: sid, ttl: 1h, path: /shop }] }`,
    tests: [
      [
        "packages/client/src/hashing/hash-call.test.ts",
        "several keys are combined in their order, those that a call lacks are left out",
      ],
      ["packages/client/src/hashing/hash-call.test.ts", "nothing after a terminal key that the call has is looked at"],
      [
        "packages/client/test/hash-cookie.test.ts",
        "with %s a caller without the cookie is given one, and stays with its instance by it",
      ],
    ],
    leftOut:
      "the source address: a client in the process is one source, `source: instance` tells processes apart; filter state and regex rewrites of a header",
  },
  {
    row: 18,
    capability: "Bounded-load hashing",
    written: "`balanceFactor` of `ring-hash` and `maglev`",
    example: `
{ kind: Service, name: reviews, balancer: { algorithm: maglev, balanceFactor: 150 }, hashKey: [{ cookie: user }] }`,
    tests: [
      [
        "packages/client/src/balancing/consistent-hash.test.ts",
        "with bounded load no endpoint has more than its share of the calls in flight, however hot a key is",
      ],
    ],
  },
  {
    row: 19,
    capability: "Sticky to one host (stateful session)",
    written:
      "`sessionAffinity: { cookie, endpoint: {} }` of a rule, `strict` or with the `states` in which a session stays; across the destinations of a split; or, by a generated cookie, `ring-hash` and `maglev`",
    example: `
kind: Service
name: carts
---
kind: Route
name: carts
services: [carts]
rules:
  - sessionAffinity:
      cookie: {}
      ttl: 1h
      endpoint: { states: [healthy, degraded, draining] }`,
    tests: [
      [
        "packages/client/test/endpoint-session.test.ts",
        "a session stays with the endpoint that answered its first call, whichever that is, and is told once",
      ],
      [
        "packages/client/test/endpoint-session.test.ts",
        "a session whose endpoint is %s goes on with another one, and the reply says with whom",
      ],
      [
        "packages/client/test/endpoint-session.test.ts",
        "a strict session fails while its endpoint may not be called, and goes on when it is back",
      ],
      [
        "packages/client/test/endpoint-session.test.ts",
        "across weighted destinations a session stays with its version and with its endpoint",
      ],
      ["packages/client/test/endpoint-session.test.ts", "newcomers move no session"],
      [
        "packages/client/test/hash-cookie.test.ts",
        "with %s a caller without the cookie is given one, and stays with its instance by it",
      ],
    ],
    leftOut: "an address in the value, as Envoy writes it: the value is opaque",
  },
  {
    row: 20,
    capability: "Slow start",
    written: "`slowStart` of a Service, with every balancer",
    example: `
{ kind: Service, name: reviews, slowStart: { window: 30s, aggression: 1, minimumPercent: 10 } }`,
    tests: [
      ["packages/client/src/balancing/slow-start.test.ts", "after %i ms of a minute the share is %d"],
      [
        "packages/client/src/balancing/consistent-hash.test.ts",
        "a newcomer that starts slowly gets a part of its keys, and more of the same by and by",
      ],
    ],
  },
  {
    row: 21,
    capability: "Panic threshold",
    written: "`panicThreshold` of a Service, 50 %",
    example: `
{ kind: Service, name: reviews, panicThreshold: 50 }`,
    tests: [
      [
        "packages/client/src/balancing/pick-usable.test.ts",
        "spreads the calls over ejected endpoints too, but not over unreachable ones",
      ],
      [
        "packages/client/src/balancing/pick-usable.test.ts",
        "panic counts unhealthy endpoints, and those that were never checked",
      ],
    ],
  },
  {
    row: 22,
    capability: "Priorities and overprovisioning",
    written: "`locality: { mode: failover }` with `failover` or `failoverPriority`, `overprovisioningPercent`",
    example: `
{ kind: Service, name: reviews, locality: { mode: failover, failover: [{ from: eu-west, to: eu-north }] } }
---
kind: Service
name: ratings
locality:
  mode: failover
  failoverPriority: [topology.kubernetes.io/region, "version=v1"]
  overprovisioningPercent: 140`,
    tests: [
      ["packages/client/src/locality/priority-load.test.ts", "of tiers %j percent healthy: %j percent of the calls"],
      ["packages/client/src/locality/priority-load.test.ts", "both tiers panic when a quarter of each is left"],
      [
        "packages/client/src/locality/failover-tiers.test.ts",
        "endpoints that carry the first n labels are nearer than those that carry fewer",
      ],
      [
        "packages/client/test/locality.test.ts",
        "calls stay in the caller's zone, and go on to the region when nobody is left there",
      ],
      [
        "benchmarks/simulation/simulate.test.ts",
        "of ten servers in the zone %i cannot be reached: %i percent of its clients' calls stay",
      ],
    ],
  },
  {
    row: 23,
    capability: "Locality-weighted and zone-aware",
    written:
      "`locality: { mode: distribute }`, `weighted` or `zone-aware`; members say where they are by `locality` or `TULLE_REGION`, `TULLE_ZONE`, `TULLE_SUBZONE`",
    example: `
kind: Service
name: reviews
locality:
  mode: distribute
  distribute: [{ from: "eu-west/*", to: { "eu-west/*": 80, "eu-north/*": 20 } }]
---
{ kind: Service, name: ratings, locality: { mode: weighted, weights: { "eu-west/a": 3, "eu-west/b": 1 } } }
---
{ kind: Service, name: details, locality: { mode: zone-aware, minimumClusterSize: 6, routingEnabledPercent: 100 } }`,
    tests: [
      [
        "packages/client/src/locality/locality-weights.test.ts",
        "beside a whole locality of weight 1, one of weight 2 that is %i percent healthy",
      ],
      [
        "packages/client/src/locality/locality-picker.test.ts",
        "shares are as they are written, whatever the number of endpoints; what is not named gets none",
      ],
      [
        "packages/client/src/locality/zone-shares.test.ts",
        "a zone with a smaller share hands on what it cannot take, to zones in proportion to what they have to spare",
      ],
      [
        "packages/client/src/locality/zone-shares.test.ts",
        "when every zone's callers do so, all endpoints get the same",
      ],
      [
        "packages/mesh/test/locality.test.ts",
        "instances tell their locality when they register, and callers prefer those of their zone",
      ],
    ],
  },
  {
    row: 24,
    capability: "Preconnect",
    written:
      "`connectionPool.preconnectPolicy` of a Service: `perUpstreamPreconnectRatio`, 1 to 3, in HTTP/1.1; `newEndpoints` connects an endpoint when it appears",
    example: `
kind: Service
name: reviews
connectionPool: { preconnectPolicy: { perUpstreamPreconnectRatio: 1.5, newEndpoints: true } }`,
    tests: [
      [
        "packages/client/test/preconnect.test.ts",
        "of 1.5 two calls have three connections, and the third call takes the one that is there",
      ],
      [
        "packages/client/test/preconnect.test.ts",
        "no bound is passed: connections of the endpoint, of the service, handshakes at a time",
      ],
      [
        "packages/client/test/preconnect.test.ts",
        "an endpoint is connected when it appears, and its first call pays no handshake",
      ],
    ],
    leftOut: "Envoy's predictive ratio over a whole cluster: `newEndpoints` takes its place",
  },
  {
    row: 25,
    capability: "Active checks",
    written:
      "`healthCheck: { http: { path } }`, `{ tcp }` or `{ grpc: { service } }` of a Service or ExternalService, every 3 s, 60 s while nobody calls, with Envoy's edge intervals and jitters; off by default; changes are told; `outlierDetection.healthCheckUnejects`",
    example: `
kind: Service
name: reviews
healthCheck:
  http: { path: /healthz, expectedStatuses: ["200-299"], retriableStatuses: [503] }
  interval: 5s
  unhealthyThreshold: 2
---
kind: Service
name: ratings
protocol: grpc
healthCheck:
  grpc: { service: shop.Ratings }
---
kind: Service
name: cache
healthCheck:
  tcp: { send: { text: "PING\\r\\n" }, receive: [{ text: PONG }] }`,
    tests: [
      [
        "packages/client/test/health-checks.test.ts",
        "stop before any fails when an instance turns unhealthy, without retries, and come back with it",
      ],
      ["packages/client/test/health-checks.test.ts", "takes %i for %s when 200 is expected and 503 retriable"],
      ["packages/client/test/health-checks.test.ts", "sends bytes and waits for all that must come, in turn"],
      [
        "packages/client/test/health-checks.test.ts",
        "an endpoint is checked once, however many routes and subsets lead to it",
      ],
      ["packages/client/src/health/health-record.test.ts", "is pending until the first check, which decides alone"],
      [
        "packages/client/src/health/health-checker.test.ts",
        "is checked rarely while nobody calls, and soon after the first call",
      ],
      [
        "packages/client/src/health/health-checker.test.ts",
        "after a check that %s the next one comes after its own interval",
      ],
      [
        "packages/client/src/health/health-checker.test.ts",
        "first checks are spread over the initial jitter, those by a changed policy as well",
      ],
      [
        "packages/client/src/health/health-checker.test.ts",
        "tells each change once: its first check, and what later ones found",
      ],
      ["packages/client/test/external-service.test.ts", "is asked how it is by its host's name, at each address"],
      ["packages/client/test/grpc-health.test.ts", "asks for the service that the policy names"],
      ["packages/client/test/grpc-health.test.ts", "keeps calls from an endpoint whose service does not serve"],
    ],
    leftOut: "Redis and Thrift",
  },
  {
    row: 26,
    capability: "Consecutive 5xx",
    written: "`outlierDetection.consecutive5xx`, 5; on by default",
    example: `
{ kind: Service, name: reviews, outlierDetection: { consecutive5xx: 5, interval: 10s, baseEjectionTime: 30s } }`,
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "the fifth answer of 500 and above ejects, the fourth does not",
      ],
      [
        "packages/client/test/outlier-detection.test.ts",
        "an instance that only fails gets five calls in a row, and no more",
      ],
    ],
  },
  {
    row: 27,
    capability: "Consecutive gateway errors",
    written: "`outlierDetection.consecutiveGatewayErrors`, 5",
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "five gateway errors eject as such, and another server error between them does not help",
      ],
    ],
  },
  {
    row: 28,
    capability: "Failures of local origin split off",
    written: "`outlierDetection.splitLocalOriginErrors`, `consecutiveLocalOriginFailures`",
    example: `
{ kind: Service, name: reviews, outlierDetection: { splitLocalOriginErrors: true, consecutiveLocalOriginFailures: 5 } }`,
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "failures without an answer count as gateway errors, unless they are split off",
      ],
    ],
  },
  {
    row: 29,
    capability: "Success-rate outlier",
    written: "`outlierDetection.successRate`, 5 hosts of 100 requests, 1.9 standard deviations",
    example: `
kind: Service
name: reviews
outlierDetection: { successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 } }`,
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "the limit is the mean less 1.9 population standard deviations: Envoy's example gives 52",
      ],
      [
        "packages/client/src/endpoints/outlier-detector.test.ts",
        "compares success rates with the first call after an interval",
      ],
    ],
  },
  {
    row: 30,
    capability: "Failure-percentage outlier",
    written: "`outlierDetection.failurePercentage`, from 85 %",
    example: `
{ kind: Service, name: reviews, outlierDetection: { failurePercentage: { threshold: 85 } } }`,
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "a share of failures of 85 % ejects by itself, where all are bad and none is an outlier",
      ],
    ],
  },
  {
    row: 31,
    capability: "Ejection time",
    written: "`outlierDetection.baseEjectionTime`, `maxEjectionTime`, `maxEjectionTimeJitter`",
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "grows with each one up to the maximum, and shrinks with each quiet interval",
      ],
      ["packages/client/src/endpoints/outlier-ejection.test.ts", "gets up to the jitter on top"],
    ],
  },
  {
    row: 32,
    capability: "Largest ejected share",
    written: "`outlierDetection.maxEjectionPercent`, 10 %, but one where there are two, and never the last",
    tests: [
      ["packages/client/src/endpoints/outlier-ejection.test.ts", "never more than the share, or one, and never all"],
      ["packages/client/src/endpoints/outlier-detector.test.ts", "tells why it did not eject"],
    ],
  },
  {
    row: 33,
    capability: "Which answers are failures",
    written: "500 and above, and failures without an answer",
    tests: [["packages/client/src/endpoints/outlier-outcome.test.ts", "an answer of %i is a %s"]],
    leftOut: "a list of statuses of one's own, and gRPC statuses",
  },
  {
    row: 34,
    capability: "Half-open probe with live traffic",
    written: "no setting: one call after the time of an ejection",
    tests: [
      [
        "packages/client/src/endpoints/outlier-ejection.test.ts",
        "is one live call after the time is over; others stay away while it is out",
      ],
      [
        "packages/client/src/layers/pick-endpoint.test.ts",
        "is left out while it is ejected, and one call probes it afterwards",
      ],
    ],
  },
  {
    row: 35,
    capability: "Success-rate circuit breaker per endpoint",
    written: "`outlierDetection.failurePercentage` with a `window`: judged at each failure, over the last so long",
    example: `
kind: Service
name: reviews
outlierDetection:
  failurePercentage: { threshold: 20, window: 10s, minimumHosts: 1, requestVolume: 5 }
  baseEjectionTime: 1s
  maxEjectionTime: 1m
  maxEjectionTimeJitter: 500ms
  maxEjectionPercent: 100`,
    tests: [
      [
        "packages/client/src/endpoints/outlier-detector.test.ts",
        "with a window an endpoint of four answers in five is ejected at its failure, without waiting for an interval",
      ],
      [
        "packages/client/src/endpoints/failure-window.test.ts",
        "an endpoint fails too much from its share of failures on, once it was called enough",
      ],
      [
        "packages/client/test/outlier-detection.test.ts",
        "with a window an instance that fails every other call is left out as soon as that is known",
      ],
    ],
    leftOut:
      "penalties that double: an ejection grows by its base; a Retry-After that lengthens it: that weighs in the balancer",
  },
];
