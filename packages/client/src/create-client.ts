import type { Agent } from "node:http";
import {
  type Credentials,
  type EndpointLocality,
  type OutboundSnapshot,
  principalOf,
  type RouteSource,
  type RouteViewer,
  type ServiceKey,
  serviceKey,
  trustDomainAliasesOf,
  trustDomainOf,
} from "@tulle/policy";
import type { Clock, Random, Watched } from "@tulle/time";
import type { Dispatcher } from "undici";
import type { CustomBalancers } from "./balancing/custom-balancer.ts";
import { assembleFront, type ClientParts, describeChain, frontChain } from "./chain.ts";
import type { DnsResolver } from "./dns/dns-resolver.ts";
import type { EjectionDecision } from "./endpoints/outlier-ejection.ts";
import { createExplain, type ExplainInit } from "./explain.ts";
import type { Explanation } from "./explanation.ts";
import { MeshAgent } from "./faces/agent.ts";
import type { FaceCounters, FaceKit } from "./faces/call-maker.ts";
import { MeshDispatcher } from "./faces/dispatcher.ts";
import { createFetch, type MeshFetch } from "./faces/fetch.ts";
import { Installation } from "./faces/install.ts";
import { LegacyDispatcher } from "./faces/legacy-dispatcher.ts";
import { createRequest, type MeshRequest } from "./faces/request.ts";
import { hashSourceOf } from "./hashing/hash-call.ts";
import type { HealthChange } from "./health/health-checker.ts";
import { type FaultCounters, HeldCalls } from "./layers/inject-fault.ts";
import { type MirrorCounters, Mirrors } from "./layers/mirror-call.ts";
import type { ThrottleCounters } from "./layers/throttle-attempt.ts";
import { Ledger } from "./ledger.ts";
import type { RetryCounters } from "./retry/attempt-outcome.ts";
import { HostResolver } from "./routing/resolve-host.ts";
import { RouteTable, routeCall } from "./routing/route-table.ts";
import type { Inherited, Send } from "./send.ts";
import { ClientTelemetry } from "./telemetry/client-telemetry.ts";
import { createTransport } from "./transport/transport.ts";
import { undici } from "./transport/undici.ts";

/** What a client is made of. Everything that it does not own is handed in. */
export interface ClientOptions {
  /** Policies and endpoints; replaced whole. */
  readonly outbound: Watched<OutboundSnapshot>;
  /** The member's certificate; `undefined` while it has none, when `mtls` endpoints cannot be reached. */
  readonly credentials: Watched<Credentials | undefined>;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where the member is; policies that prefer localities say nothing to one that does not know. @default not known */
  readonly locality?: EndpointLocality | undefined;
  /**
   * Asks for a service that is in the names index but not in the snapshot. Settles when the snapshot holds it.
   *
   * @throws MeshError UNKNOWN_SERVICE after a time of its own choice.
   */
  readonly discover: (service: ServiceKey, signal?: AbortSignal) => Promise<void>;
  /** What the visit in whose context a call is made hands down; `undefined` outside a visit or after its end. */
  readonly inherit: () => Inherited | undefined;
  /** Milliseconds by which the config-server's clock is ahead of this machine's, for messages. @default 0 */
  readonly clockSkewMs?: () => number;
  /** Where hosts outside the mesh go. @default the global dispatcher that was there before */
  readonly outside?: Dispatcher;
  /** Where the names of hosts outside the mesh are asked for. @default the name servers of the system */
  readonly resolver?: DnsResolver;
  /** Whether the mesh's own failures reject or answer as a proxy would. @default "error" */
  readonly localReplies?: "error" | "response";
  /** Balancers of the application's own, by the names that policies call them. @default none */
  readonly balancers?: CustomBalancers;
  /**
   * Idle connections to all endpoints together, range 1 to 1,000,000; beyond, the one that has been idle for longest is closed.
   * @default 1024
   */
  readonly maxIdleConnections?: number | undefined;
  /** Hears that a snapshot's policies could not be compiled; the last good ones stay in force. */
  readonly onProblem?: (revision: string, problem: unknown) => void;
  /** Hears what an operator should know, each thing once: that the default timeout is in force. */
  readonly onNotice?: (text: string) => void;
  /** Hears of each change of a destination's circuit. */
  readonly onCircuit?: (destination: string, state: "closed" | "open" | "half-open") => void;
  /** Hears of each decision of outlier detection, also of those not to eject, and why. */
  readonly onEjection?: (service: ServiceKey, decision: EjectionDecision) => void;
  /** Hears what health checks change of an endpoint, its first check included. */
  readonly onHealth?: (service: ServiceKey, change: HealthChange) => void;
}

/** Outgoing calls of a member. */
export interface Client {
  readonly fetch: MeshFetch;
  readonly request: MeshRequest;
  /** For `http.request(url, { agent })` and clients that are built on it; its own comment says what it cannot do. */
  readonly agent: Agent;
  /** For undici's own functions: `request(url, { dispatcher })`. */
  readonly dispatcher: Dispatcher;
  /** For the `dispatcher` option of the built-in fetch, whose dialect on Node.js 22 and 24 is an older one. */
  readonly fetchDispatcher: Dispatcher;
  /** Sends every built-in `fetch` of the process through the mesh. */
  install(): void;
  /** Takes {@link install} back. */
  uninstall(): void;
  /** What would happen to a call, and why, without making it. */
  explain(url: string | URL, init?: ExplainInit): Explanation;
  /**
   * Prints the steps that a call to a service meets, in order; `undefined` while the service, or the rule, is not known.
   *
   * @param rule `route/rule`, as explanations name it. @default what calls meet that no rule matches
   */
  describeChain(service: ServiceKey, rule?: string): string | undefined;
  /** Totals since the client was made, by name. */
  counters(): Record<string, number>;
  /** Takes no more calls, lets those under way end, and closes every connection. May be called again. */
  close(): Promise<void>;
}

/** Composition root: options in, client out. */
export const createClient = (options: ClientOptions): Client => {
  const { clock, random, outbound } = options;
  const counters: RetryCounters & FaultCounters & MirrorCounters & ThrottleCounters & FaceCounters = {
    throttled: 0,
    calls: 0,
    outside: 0,
    refused: 0,
    retries: 0,
    hedges: 0,
    hedgesCancelled: 0,
    retriesOverBudget: 0,
    retriesWithoutBody: 0,
    retriesLeftToHops: 0,
    retriesOutOfTime: 0,
    bodiesBeyondReplay: 0,
    faultDelays: 0,
    faultAborts: 0,
    faultsOverLimit: 0,
    mirrored: 0,
    mirrorsOverLimit: 0,
    mirrorsWithoutBody: 0,
    mirrorsUndiscovered: 0,
    mirrorsFailed: 0,
  };
  const transport = createTransport({
    clock,
    random,
    credentials: options.credentials,
    trustDomains: () => {
      const { mesh } = options.outbound.current;
      return [trustDomainOf(mesh), ...trustDomainAliasesOf(mesh)];
    },
    clockSkewMs: options.clockSkewMs,
    resolver: options.resolver,
    maxIdleConnections: options.maxIdleConnections,
  });
  const noticed = new Set<string>();
  const notice = (text: string): void => {
    if (noticed.has(text) || noticed.size >= MAX_NOTICES) return;
    noticed.add(text);
    options.onNotice?.(text);
  };
  const { balancers, onCircuit, onEjection, onHealth } = options;
  const member = {
    service: serviceKey(options.namespace, options.service),
    locality: options.locality,
    labels: options.labels,
  };
  const ledger = new Ledger({ clock, random, transport, member, balancers, notice, onCircuit, onEjection, onHealth });
  const parts: ClientParts = {
    notice,
    clock,
    random,
    telemetry: new ClientTelemetry(),
    source: { service: options.service, namespace: options.namespace },
    counters,
    held: new HeldCalls(),
    mirrors: new Mirrors({ clock, counters, discover: options.discover }),
    hashSource: hashSourceOf(`${options.namespace}/${options.service}`, random),
  };
  const hosts = new HostResolver(outbound.current);
  const viewerAs = (credentials: Credentials | undefined): RouteViewer => ({
    source: sourceOf(options, credentials),
    random,
  });
  const table = new RouteTable(
    outbound.current,
    { parts, ledger, viewer: viewerAs(options.credentials.current) },
    options.onProblem ?? (() => undefined),
  );
  const watching = [
    outbound.subscribe((snapshot) => {
      hosts.take(snapshot);
      table.take(snapshot);
    }),
    options.credentials.subscribe((credentials) => table.takeViewer(viewerAs(credentials))),
  ];

  const front = frontChain(parts, routeCall(table, options.discover, clock));
  const send: Send = assembleFront(front);
  const kit: FaceKit = {
    hosts,
    send,
    clock,
    random,
    inherit: options.inherit,
    localReplies: options.localReplies ?? "error",
    counters,
    closed: false,
  };
  const outside = (): Dispatcher => options.outside ?? installation.outside;
  const legacyOutside = (): Dispatcher | undefined =>
    options.outside === undefined ? installation.legacyOutside : undefined;
  const dispatcher = new MeshDispatcher(kit, outside);
  const fetchDispatcher = new LegacyDispatcher(dispatcher, kit, legacyOutside);
  const installation = new Installation(dispatcher, fetchDispatcher);
  return {
    fetch: createFetch(kit, outsideFetch(options.outside)),
    request: createRequest(kit, outside, dispatcher),
    agent: new MeshAgent(kit),
    dispatcher,
    fetchDispatcher,
    install: () => installation.install(),
    uninstall: () => installation.uninstall(),
    explain: createExplain({ hosts, table, clock }),
    describeChain: (service, rule = "default") => {
      const compiled = table.find(service);
      const found = [compiled?.unmatched, ...(compiled?.rules.values() ?? [])].find((each) => each?.name === rule);
      return found === undefined ? undefined : describeChain(front, found.chain, found.destinations[0]?.chain);
    },
    counters: () => ({ ...counters, ...transport.counters }),
    close: async () => {
      kit.closed = true;
      installation.uninstall();
      for (const stop of watching) stop();
      table.close();
      parts.held.close();
      parts.mirrors.close();
      await ledger.close();
    },
  };
};

/** Different texts that an operator is told; a balancer of the application's own may fail in words that never repeat. */
const MAX_NOTICES = 100;

/** Who the member is to rules that ask for the caller. */
const sourceOf = (
  { service, namespace, labels }: ClientOptions,
  credentials: Credentials | undefined,
): RouteSource => ({
  service,
  namespace,
  labels,
  principal: credentials === undefined ? undefined : principalOf(credentials.spiffeId),
});

/** The built-in fetch as it is now: whoever makes `mesh.fetch` the global one later must not be called in a circle. */
const outsideFetch = (outside: Dispatcher | undefined): MeshFetch => {
  const builtIn = globalThis.fetch;
  // The standard's types know no options of the mesh and no foreign Request; both pass through as they are.
  if (outside === undefined) return (input, init) => builtIn(input as Request, init);
  const dispatcher = new undici.Dispatcher1Wrapper(outside);
  return (input, init) => builtIn(input as Request, { dispatcher, ...init } as RequestInit);
};
