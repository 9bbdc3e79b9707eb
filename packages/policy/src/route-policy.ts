import type { Cors } from "./cors-policy.ts";
import type { DirectResponse } from "./direct-response-policy.ts";
import type { Duration } from "./duration.ts";
import type { FaultPolicy } from "./fault-policy.ts";
import type { HashKey } from "./hash-key.ts";
import type { HeaderChanges } from "./header-changes-policy.ts";
import type { HedgePolicy } from "./hedge-policy.ts";
import type { MirrorTarget } from "./mirror-policy.ts";
import type { PolicyMeta, PolicyOrigin } from "./policy-meta.ts";
import type { Redirect } from "./redirect-policy.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type { HostRewrite, Rewrite } from "./rewrite-policy.ts";
import type { RouteMatch } from "./route-match.ts";
import type { SessionAffinity } from "./session-affinity-policy.ts";

/** One part of a weighted split. */
export interface WeightedDestination {
  /** @default the service that was called */
  readonly service?: string;
  /** @default all endpoints of the service */
  readonly subset?: string;
  /** Relative to its siblings; they need not add up to 100; 0 is never chosen. Range 0 to 1,000,000. @default 1 */
  readonly weight?: number;
  /** What is sent as Host to this destination; the rule's own `rewrite.host` and `rewrite.autoHost` win. @default as asked */
  readonly rewrite?: HostRewrite;
  /** Changes of what is sent to this destination. The rule's come after them, so that the rule's win (Envoy). @default none */
  readonly requestHeaders?: HeaderChanges;
  /** Changes of what this destination answers. The rule's come after them. @default none */
  readonly responseHeaders?: HeaderChanges;
}

/** One rule of a route; the first whose match fits a call decides it. */
export interface RouteRule {
  /** For explanations and telemetry. @default the rule's place, from 0 */
  readonly name?: string;
  /** Filled in by whoever makes one route of several documents. @default the route's */
  readonly origin?: PolicyOrigin;
  /** Alternatives: any of them. @default every call */
  readonly match?: readonly RouteMatch[];
  /** Where the call goes. @default the service that was called, all endpoints */
  readonly split?: readonly WeightedDestination[];
  /** The whole call with all attempts, from the first byte to the end of the body. `"0s"` turns it off. @default the mesh's, until the headers */
  readonly timeout?: Duration;
  /** @default the mesh's */
  readonly attemptTimeout?: Duration;
  /**
   * The whole call with its body, whatever else is set, streams included. `"0s"` turns it off. Envoy's `max_stream_duration`.
   * @default the mesh's
   */
  readonly maxDuration?: Duration;
  /** @default the mesh's */
  readonly idleTimeout?: Duration;
  /** `false` turns retries off. @default the mesh's */
  readonly retry?: RetryPolicy | false;
  /** Answers with a redirect instead of calling. */
  readonly redirect?: Redirect;
  /** Answers instead of calling. */
  readonly directResponse?: DirectResponse;
  /** Sends another path or host than the caller asked for. @default as asked */
  readonly rewrite?: Rewrite;
  /** Changes of what is sent; after those of the destination, so that the rule's win (Envoy). @default none */
  readonly requestHeaders?: HeaderChanges;
  /** Changes of what the caller gets, redirects and direct responses included; after those of the destination. @default none */
  readonly responseHeaders?: HeaderChanges;
  /** Ask a further endpoint when an answer is late. @default none */
  readonly hedge?: HedgePolicy;
  /** Where copies of the calls go, each for itself. @default nowhere */
  readonly mirror?: readonly MirrorTarget[];
  /** Delays and failures on purpose. @default none */
  readonly fault?: FaultPolicy;
  /** Sessions stay with the destination that was drawn for their first call. @default every call is drawn anew */
  readonly sessionAffinity?: SessionAffinity;
  /** Answers browsers of other origins. @default none */
  readonly cors?: Cors;
  /** Draw the split by a hash of these keys instead of by chance; a call without any of them is drawn by chance. @default by chance */
  readonly sticky?: readonly HashKey[];
}

/**
 * Which calls to a service go where, and how patiently. Known elsewhere as VirtualService, HTTPRoute, service-router.
 * Several routes for one service are tried in the order of their names. A call that no rule matches goes to all
 * endpoints of the service, unless `unmatched` says otherwise.
 */
export interface RoutePolicy extends PolicyMeta {
  readonly kind: "Route";
  /** The services it is for: `reviews`, `reviews.ns` or the long name. At least one. */
  readonly services: readonly string[];
  /** In order; at least one. */
  readonly rules: readonly RouteRule[];
  /** What becomes of a call that no rule of any route matches; `refuse` fails it with NO_ROUTE, as Istio does. @default "pass" */
  readonly unmatched?: "pass" | "refuse";
}
