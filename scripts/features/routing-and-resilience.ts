import type { FeatureRow } from "./feature-row.ts";

/** What is decided about an outgoing call, apart from the choice of its endpoint. */
export const routingAndResilience: readonly FeatureRow[] = [
  {
    row: 36,
    capability: "Request timeout",
    written:
      "`timeout` of a Route's rule or of the mesh's defaults; 15 s until the headers where nobody says otherwise; `maxDuration` bounds the body too",
    example: `
{ kind: Mesh, name: mesh, defaults: { timeout: 15s, idleTimeout: 5m } }
---
{ kind: Route, name: reviews, services: [reviews], rules: [{ timeout: 2s, maxDuration: 1h }] }`,
    tests: [
      [
        "packages/client/src/layers/enforce-deadline.test.ts",
        "ends a stream whose headers came in time, with its own code",
      ],
      [
        "packages/client/test/time-limits.test.ts",
        "maxDuration ends a stream that is alive, with its code, and the server sees its connection end",
      ],
      [
        "packages/client/test/time-limits.test.ts",
        "the default timeout is told once, and not at all where a policy sets one",
      ],
    ],
  },
  {
    row: 37,
    capability: "Timeout of one attempt",
    written: "`attemptTimeout` of a rule or of the mesh's defaults",
    example: `
{ kind: Route, name: reviews, services: [reviews], rules: [{ timeout: 2s, attemptTimeout: 300ms }] }`,
    tests: [["packages/client/src/layers/limit-attempt.test.ts", "gives up the attempt and not the call"]],
    leftOut: "`per_try_idle_timeout`: the idle limit of the body is one for all attempts",
  },
  {
    row: 38,
    capability: "Connect timeout",
    written: "`connectionPool.connectTimeout` of a Service; 1 s in the mesh, 5 s outside, handshake included",
    example: `
{ kind: Service, name: reviews, connectionPool: { connectTimeout: 1s } }`,
    tests: [
      ["packages/client/test/dispatch.test.ts", "by a connect that takes too long is CONNECT_FAILED at the limit"],
    ],
  },
  {
    row: 39,
    capability: "Idle time and lifetime of connections",
    written: "`connectionPool.keepAlive`, `maxAge`; `idleTimeout` of a rule for a reply's body",
    example: `
{ kind: Service, name: reviews, connectionPool: { keepAlive: 4s, maxAge: 1h } }`,
    tests: [
      [
        "packages/client/test/endpoint-pool.test.ts",
        "connections are retired at their greatest age, and calls go on over new ones",
      ],
      ["packages/server/test/idle-time.test.ts", "a listener announces how long it keeps idle connections"],
    ],
    leftOut: "TCP keep-alive as a setting: it is on, after a minute of silence",
  },
  {
    row: 40,
    capability: "Retry conditions",
    written:
      "`retry.on` with Envoy's names and gRPC's statuses, `statuses` with ranges, `retriableHeaders`, `retriableRequestHeaders`",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - retry:
      on: [connect-failure, refused-stream, reset-before-request, 5xx, unavailable]
      statuses: [429, "500-599"]
      retriableHeaders: { x-shed: { exact: "1" } }`,
    tests: [
      ["packages/client/src/retry/retryable.test.ts", "%s under %j after %j: %s"],
      [
        "packages/client/src/layers/retry.test.ts",
        "a reply of 200 is repeated when its headers carry a gRPC status that the policy names",
      ],
      [
        "packages/client/src/layers/retry.test.ts",
        "a POST with an Idempotency-Key is repeated as if it were idempotent",
      ],
    ],
    leftOut: "`http3-post-connect-failure`: there is no HTTP/3",
  },
  {
    row: 41,
    capability: "Default retries",
    written:
      "2, on failures that say nothing of the request, never of what may have been processed unless it is idempotent, and at one hop alone",
    tests: [
      ["packages/policy/src/effective.test.ts", "the defaults of a mesh of which nothing is said"],
      [
        "packages/mesh/test/retry-storm.test.ts",
        "three stacked services with 3 retries each, the last one failing: its load is at most 1.2 times the offered one",
      ],
      [
        "packages/mesh/test/retry-storm.test.ts",
        "without budget and guard the same retries multiply: 4 attempts on each of 3 hops make 64 calls of one",
      ],
    ],
    leftOut: "a count of re-selections: the tried endpoints are avoided by name",
  },
  {
    row: 42,
    capability: "Back-off",
    written: "`retry.backoff`, full jitter from 25 to 250 ms",
    example: `
kind: Route
name: reviews
services: [reviews]
rules: [{ retry: { backoff: { base: 25ms, max: 250ms } } }]`,
    tests: [["packages/client/src/retry/retry-delay.test.ts", "retry %i waits at most %i ms, with full jitter"]],
  },
  {
    row: 43,
    capability: "Back-off that the server asks for",
    written: "no setting: `Retry-After`, rate-limit resets and `grpc-retry-pushback-ms`, at most 300 s",
    tests: [
      ["packages/client/src/retry/retry-delay.test.ts", "%i with %j asks for %j"],
      [
        "packages/client/src/layers/retry.test.ts",
        "gRPC's pushback is waited for to the millisecond, and begins the back-off anew",
      ],
      ["packages/client/src/layers/retry.test.ts", "a negative pushback means no retry"],
    ],
  },
  {
    row: 44,
    capability: "Avoid tried hosts",
    written: "no setting: an endpoint that the call was sent to is the last resort",
    tests: [
      [
        "packages/client/src/layers/pick-endpoint.test.ts",
        "each attempt avoids the endpoints of the call's earlier ones",
      ],
    ],
    leftOut: "`retry_priority`: priorities come with localities",
  },
  {
    row: 45,
    capability: "Retry budget",
    written: "`retryBudget` of a Service or of the mesh's defaults: 20 %, or 10 per second if that is more, over 10 s",
    example: `
{ kind: Service, name: reviews, retryBudget: { ratio: 0.2, minPerSecond: 10, ttl: 10s } }`,
    tests: [
      [
        "packages/client/src/retry/retry-budget.test.ts",
        "grants the share or the floor, whichever is more, and never both",
      ],
      [
        "packages/client/src/retry/retry-budget.test.ts",
        "never grants more than the share of all calls, or the floor of the time that passed",
      ],
    ],
    leftOut: "the floor of 3 retries at one time: with fast failures it breaks the share (docs/decisions)",
  },
  {
    row: 46,
    capability: "Replay buffer",
    written: "no setting: 64 KiB, streams included",
    tests: [
      [
        "packages/client/test/replay.test.ts",
        "a small stream whose connection breaks in the middle reaches the next endpoint whole",
      ],
      [
        "packages/client/test/replay.test.ts",
        "a large stream is sent once, fails with its own code where that was in vain, and is counted and given up",
      ],
    ],
  },
  {
    row: 47,
    capability: "Hedging",
    written: "`hedge` of a rule, by delay or by quantile, on the retry budget",
    example: `
{ kind: Route, name: reviews, services: [reviews], rules: [{ hedge: { quantile: 0.95, attempts: 2 } }] }`,
    tests: [
      [
        "packages/client/test/hedging.test.ts",
        "the loser's request ends on the wire, and the winner's answer is the caller's",
      ],
      [
        "packages/client/src/layers/hedge.test.ts",
        "whatever its attempts do, a call ends, with one reply or failure, and leaves nothing behind",
      ],
    ],
  },
  {
    row: 48,
    capability: "Concurrency limits and circuit breaker",
    written:
      "`connectionPool.maxConnections`, `maxPendingRequests`, `maxRequests` (1024 each), `retryBudget`; `circuitBreaker` by error rate or failures in a row, per destination or rule",
    example: `
kind: Service
name: reviews
connectionPool: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxConnectionsPerEndpoint: 64 }
circuitBreaker: { scope: rule, errorPercent: 30, consecutiveFailures: 5, halfOpenProbes: 3, openFor: 5s, maxOpenFor: 1m }`,
    tests: [
      [
        "packages/client/test/limits.test.ts",
        "share maxConnections over all endpoints, but each endpoint may have a first one",
      ],
      [
        "packages/client/test/limits.test.ts",
        "fail with OVERFLOW_CONNECTIONS when no connection is left and none may wait",
      ],
      [
        "packages/client/test/limits.test.ts",
        "beyond maxRequests fail with OVERFLOW_REQUESTS at once, until a reply is over",
      ],
      [
        "packages/client/test/circuit.test.ts",
        "one failing path shuts its own rule where the policy asks for circuits of rules",
      ],
    ],
    leftOut: "thresholds by routing priority",
  },
  {
    row: 49,
    capability: "Requests per connection",
    written:
      "`connectionPool.maxRequestsPerConnection` of a Service, unlimited by default; HTTP/2 sessions count their streams",
    example: `
{ kind: Service, name: reviews, connectionPool: { maxRequestsPerConnection: 1000 } }`,
    tests: [
      [
        "packages/client/test/connection-reuse.test.ts",
        "a connection is closed after maxRequestsPerConnection calls, and no call fails of it",
      ],
      [
        "packages/client/test/connection-reuse.test.ts",
        "with maxRequestsPerConnection of 1 each call has a connection of its own, also one that waited",
      ],
      [
        "packages/client/test/connection-reuse.test.ts",
        "a process keeps maxIdleConnections; beyond, the longest idle one goes and a busy one never",
      ],
    ],
  },
  {
    row: 50,
    capability: "Queue fail-fast",
    written: "`connectionPool.maxPendingRequests`; a call that is given up leaves the queue at once",
    tests: [
      [
        "packages/client/test/limits.test.ts",
        "wait for a connection while all are busy, and beyond maxPendingRequests fail with OVERFLOW_PENDING",
      ],
      ["packages/client/test/limits.test.ts", "that are given up while they wait make room at once"],
    ],
  },
  {
    row: 51,
    capability: "Deadline propagation",
    written:
      "no setting: what is left travels in `x-envoy-expected-rq-timeout-ms` and `grpc-timeout`, and is inherited by the calls of a visit",
    tests: [
      [
        "packages/client/test/time-limits.test.ts",
        "what is left of a gRPC caller's timeout travels on in gRPC's header and in Envoy's",
      ],
      [
        "packages/client/src/layers/retry.test.ts",
        "a retry that would take longer than is left, as half of all answers do, is not begun",
      ],
    ],
  },
  {
    row: 55,
    capability: "Admission control in the client",
    written: "`adaptiveThrottling` of a Service (Google's adaptive throttling, K = 2)",
    example: `
{ kind: Service, name: reviews, adaptiveThrottling: { multiplier: 2, window: 2m, maxRejectionPercent: 80 } }`,
    tests: [
      [
        "packages/client/src/throttling/adaptive-throttle.test.ts",
        "throttling fades within some windows of the destination's recovery, and does not latch",
      ],
      [
        "packages/client/test/throttling.test.ts",
        "a client sends a destination that rejects calls fewer of them, and says so",
      ],
    ],
  },
  {
    row: 59,
    capability: "Match on",
    written:
      "`match` of a rule: path, method, scheme, authority, port, headers, query, source, fraction; each comparison can be inverted",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - match:
      - path: { template: "/reviews/{id}/{rest=**}" }
        ignoreCase: true
        methods: [GET]
        scheme: { exact: http }
        authority: { exact: reviews }
        port: 80
        headers: { end-user: { exact: jason, invert: true } }
        query: { page: { present: true } }
        source: { service: productpage, labels: { version: v1 }, identity: { prefix: cluster.local/ns/default/ } }
        fraction: 12.5`,
    tests: [
      ["packages/policy/src/route-matcher.reference.test.ts", "of %s, finds what a scan finds"],
      ["packages/policy/src/path-template.test.ts", "template %s on %s gives %j"],
      ["packages/client/test/routing.test.ts", "scheme, authority and port are those that the caller wrote"],
      [
        "packages/client/test/routing.test.ts",
        "rules for other callers are left out, and an identity that changes is followed",
      ],
    ],
    leftOut: "gateways, and the TLS context: there is no gateway, and the policy decides about TLS",
  },
  {
    row: 60,
    capability: "Weighted split",
    written:
      "`split` of a rule over services and subsets; `sticky` by hash keys; `sessionAffinity` by cookie or header",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - split:
      - { subset: v1, weight: 80 }
      - { subset: v2, weight: 20, requestHeaders: { set: { x-canary: "1" } } }
    sticky: [{ header: x-user, terminal: true }, { cookie: user }]
    sessionAffinity: { cookie: { path: /, sameSite: lax }, ttl: 1h }`,
    tests: [
      [
        "packages/policy/src/traffic-split.test.ts",
        "shares follow the weights within binomial bounds, and 0 is never drawn",
      ],
      ["packages/client/src/routing/split-traffic.test.ts", "draws equal keys alike, in this process and in others"],
      [
        "packages/client/src/routing/split-traffic.test.ts",
        "stays when the weights change, also to 0, and ends when the destination leaves the split",
      ],
      [
        "packages/mesh/test/traffic-actions.test.ts",
        "a session outlives an apply that takes its version's weight to 0",
      ],
    ],
  },
  {
    row: 61,
    capability: "Mirror with percentage",
    written: "`mirror` of a rule",
    example: `
kind: Route
name: reviews
services: [reviews]
rules: [{ mirror: [{ service: ratings, percent: 12.5, maxInFlight: 64 }] }]`,
    tests: [
      [
        "packages/client/test/traffic.test.ts",
        "a copy says what the call says, and neither its failure nor its silence concerns the call",
      ],
      ["packages/client/test/traffic.test.ts", "no more copies than allowed are under way, and calls go on without"],
    ],
    leftOut: "bodies that are streams or larger than 64 KiB are not copied, but counted",
  },
  {
    row: 62,
    capability: "Fault injection",
    written: "`fault` of a rule: delay and abort",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - fault:
      headers: { end-user: { exact: jason } }
      delay: { fixed: 7s, percent: 100 }
      abort: { status: 500, percent: 0.5 }`,
    tests: [
      ["packages/client/src/layers/inject-fault.test.ts", "is no part of the rule's timeout, but of the caller's"],
      ["packages/client/test/traffic.test.ts", "a fault's abort is an answer, and the service hears nothing"],
      [
        "packages/policy/src/fault-policy.test.ts",
        "shares hold within binomial bounds, fractions of a percent included",
      ],
    ],
    leftOut:
      "faults that a request's own header asks for, which would let a caller break others; a limit of the reply's rate",
  },
  {
    row: 63,
    capability: "Rewrite, redirect, direct response",
    written: "`rewrite`, `redirect`, `directResponse` of a rule",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - match: [{ path: { prefix: /old } }]
    redirect: { prefix: /new, status: 308 }
  - match: [{ path: { exact: /closed } }]
    directResponse: { status: 503, body: closed, headers: { retry-after: "60" } }
  - match: [{ path: { prefix: /api } }]
    rewrite: { prefix: /, host: backend }`,
    tests: [
      ["packages/client/test/actions.test.ts", "a redirect is answered, and nothing is sent"],
      ["packages/client/test/actions.test.ts", "a direct response has its status, its headers and its text"],
      ["packages/client/test/actions.test.ts", "path and host are rewritten, the query is kept"],
      ["packages/client/test/actions.test.ts", "what a pattern finds in the path is replaced"],
    ],
    leftOut: "a body of bytes in a direct response, and rewriting by a template",
  },
  {
    row: 64,
    capability: "Header changes, CORS",
    written: "`requestHeaders`, `responseHeaders` of a rule and of each destination; `cors` of a rule",
    example: `
kind: Route
name: reviews
services: [reviews]
rules:
  - requestHeaders: { remove: [x-b], set: { x-a: "1" }, add: { x-c: "2" } }
    cors: { allowOrigins: [{ exact: "https://shop.example" }], allowMethods: [GET], maxAge: 24h }`,
    tests: [
      ["packages/client/test/actions.test.ts", "headers are changed both ways, the rule's after the destination's"],
      [
        "packages/client/test/actions.test.ts",
        "order, casing and duplicates of a reply survive a change of other headers",
      ],
      [
        "packages/client/test/actions.test.ts",
        "a preflight of an allowed origin is answered, and other calls are marked",
      ],
    ],
    leftOut: "Envoy's operators (`%...%`) in values: they are literal",
  },
  {
    row: 65,
    capability: "Route delegation",
    written: "several Routes for one service, tried by their names",
    tests: [],
    leftOut:
      "a field of its own: delegation is a way of writing, which the translator of documents resolves into one Route",
  },
  {
    row: 66,
    capability: "Progressive delivery",
    written: "weights that change under traffic, sticky splits, sessions, mirrors",
    tests: [["packages/policy/src/traffic-split.test.ts", "of equal draws only those move whose share does: %s"]],
    leftOut: "automatic steps: the kind `Rollout` comes later",
  },
  {
    row: 67,
    capability: "HTTP/2, gRPC, WebSocket and upgrades",
    written:
      "`protocol: http2` or `grpc` of a Service, bounded by `connectionPool.maxConcurrentStreams`; for upgrades no setting: `new WebSocket(url, { dispatcher: mesh.dispatcher })`, the built-in one under `mesh.install()`, `node:http` with `mesh.agent`",
    example: `
kind: Service
name: reviews
protocol: http2
connectionPool: { maxConcurrentStreams: 50, maxConnectionsPerEndpoint: 4 }
---
kind: Service
name: ratings
protocol: grpc
`,
    tests: [
      [
        "packages/client/test/h2-transport.test.ts",
        "a thousand calls at once share a few sessions, and none begins more streams than are allowed",
      ],
      ["packages/client/test/h2-transport.test.ts", "a POST whose stream was refused is sent again"],
      [
        "packages/client/test/h2-transport.test.ts",
        "streams above the last one of a GOAWAY are sent again, and those below are answered",
      ],
      [
        "packages/mesh/test/http2.test.ts",
        "members speak HTTP/2 over mTLS where the Service says so, and follow a change of it under traffic",
      ],
      [
        "packages/mesh/test/http2.test.ts",
        "instances that leave under traffic in HTTP/2 lose no request of any method",
      ],
      ["packages/mesh/test/http2.test.ts", "a call in gRPC passes, with its trailers and its deadline"],
      ["packages/client/test/upgrade.test.ts", "undici's WebSocket speaks to a service by its name"],
      ["packages/client/test/upgrade.test.ts", "the built-in WebSocket speaks to a service under mesh.install()"],
      [
        "packages/mesh/test/upgrade.test.ts",
        "an upgrade passes the gates of a member over mTLS, and whom they refuse gets no connection",
      ],
    ],
    leftOut:
      "HTTP/3; HTTP/2 to services outside the mesh; raw TCP and TLS by SNI have no meaning where the library call is the protocol; CONNECT",
  },
];
