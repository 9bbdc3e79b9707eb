import type { Credentials, Endpoint, InboundSnapshot, OutboundSnapshot, ServiceKey } from "@tulle/policy";
import type { KeyStorage, PlaintextCaller } from "@tulle/server";
import type { Watched } from "@tulle/time";
import type { MeshStatus } from "./mesh.ts";

/** An instance that listens, as it is told to the registry. */
export type Registration = Omit<Endpoint, "serviceAccount" | "health">;

/** Where a mesh gets its policy, endpoints and credentials from: the agent, fixed values, or nothing at all. */
export interface MeshSource {
  readonly instanceId: string;
  readonly outbound: Watched<OutboundSnapshot>;
  readonly inbound: Watched<InboundSnapshot | undefined>;
  readonly credentials: Watched<Credentials | undefined>;
  state(): MeshStatus["state"];
  /** Asks for a service that the names know and the snapshot does not have yet. */
  discover(service: ServiceKey, signal?: AbortSignal): Promise<void>;
  register(registration: Registration): Promise<void>;
  withdraw(endpointId: string, state: "draining" | "gone"): Promise<void>;
  /** Milliseconds by which the config-server's clock is ahead of this machine's; 0 where it is not known. */
  clockSkewMs(): number;
  /** Tells who called without an identity, all of them; only what is new is sent. */
  reportPlaintext(callers: readonly PlaintextCaller[]): void;
  ready(): Promise<void>;
  leave(): Promise<void>;
  counters(): Readonly<Record<string, number>>;
  /** Where keys of issuers of tokens outlive the process; absent where nothing does. */
  readonly keptKeys?: KeyStorage;
}
