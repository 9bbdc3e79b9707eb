import type { Client, Explanation } from "@tulle/client";
import type { AccessSample, ListenApp, ListenOptions, MeshListener, MeshVisit } from "@tulle/server";
import type { MeshMode } from "./mesh-options.ts";

/** What a mesh says of itself. */
export interface MeshStatus {
  /** `fixed` for a mesh of values; otherwise where the agent is. */
  readonly state: "fixed" | "off" | "joining" | "joined" | "disconnected" | "leaving" | "left";
  readonly mode: MeshMode;
  readonly service: string;
  readonly namespace: string;
  /** The instance's id, as the registry and `tulle status` know it. */
  readonly instanceId: string;
  /** The policy revision in force, `undefined` while there is none. */
  readonly revision: string | undefined;
  /** The member's SPIFFE ID, `undefined` while it has no certificate. */
  readonly spiffeId: string | undefined;
  /** How many certificates and changes of trust this process has seen. */
  readonly credentialGeneration: number;
  /** Milliseconds since 1970. */
  readonly certificateNotAfterMs: number | undefined;
  /** Bounds reached, retries, refusals and the like, by name, for each part of the mesh. Totals since the start. */
  readonly counters: Readonly<Record<"client" | "server" | "agent", Readonly<Record<string, number>>>>;
}

/** A process's part in the mesh: its calls and its listeners. */
export interface Mesh extends AsyncDisposable {
  /** WHATWG fetch through the mesh. `init.mesh` holds options of this call. */
  readonly fetch: Client["fetch"];
  /** undici's `request` through the mesh: a fraction of the cost of any fetch. */
  readonly request: Client["request"];
  /**
   * For `node:http` and what is built on it: `http.request(url, { agent: mesh.agent })`; axios takes it as `httpAgent`, got as
   * `agent.http`. Each request is routed and balanced by itself, over mTLS where the endpoint speaks it. A request that has a
   * connection is never sent again: retries of replies and hedging are for the other faces.
   */
  readonly agent: Client["agent"];
  /** For undici's own functions: `request(url, { dispatcher: mesh.dispatcher })`. */
  readonly dispatcher: Client["dispatcher"];
  /** For the built-in fetch: `fetch(url, { dispatcher: mesh.fetchDispatcher })`. */
  readonly fetchDispatcher: Client["fetchDispatcher"];
  /** Sends every built-in `fetch` of the process through the mesh. Hosts outside it go where they went before. */
  install(): void;
  /** Takes {@link install} back. */
  uninstall(): void;
  /** What would happen to a call, and why, without making it. */
  explain(url: string | URL, init?: Parameters<Client["explain"]>[1]): Explanation;
  /**
   * Serves an application behind the mesh's gates and registers it. On SIGTERM and SIGINT it drains, leaves and lets the
   * process end, unless `signals: false`. Without a config-server it serves at once, and is registered when there is one and
   * the policy allows it.
   *
   * @throws MeshError JOIN_REFUSED when the config-server does not let this identity register; nothing listens then.
   */
  listen(app: ListenApp, options: MeshListenOptions): Promise<MeshListener>;
  /**
   * Settles when the member has policy and a certificate.
   *
   * @throws MeshError JOIN_TIMEOUT or JOIN_REFUSED, with the config-server's reason.
   */
  ready(): Promise<void>;
  readonly status: MeshStatus;
  /** The visit that the calling code serves: who calls, what let the call in, how long it may take. `undefined` outside of one. */
  readonly visit: MeshVisit | undefined;
  /**
   * The last calls about which access policies in dry-run would have changed something: when, who, what, and which policy and
   * rule. The newest first, at most 100.
   */
  dryRunSamples(): readonly AccessSample[];
  /** Drains the listeners, leaves the mesh and frees everything. May be called again. */
  leave(): Promise<void>;
}

/** How an application listens in the mesh. */
export interface MeshListenOptions extends ListenOptions {
  /** The address that other members are told. @default TULLE_ADVERTISE, else the bound address, else the first external one */
  readonly advertise?: string;
  /** Whether SIGTERM and SIGINT drain and leave. @default true */
  readonly signals?: boolean;
}
