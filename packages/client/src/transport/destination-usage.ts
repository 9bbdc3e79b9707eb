import { MeshError, type MeshErrorCode } from "@tulle/policy";

/** How much of a destination may be used at once. */
export interface UsageLimits {
  /** Calls under way on connections until their replies are over. */
  readonly maxRequests: number;
  /** Calls that wait for a connection. */
  readonly maxPendingRequests: number;
}

/**
 * What is under way to one destination (service or subset), and its bounds: Envoy's circuit-breaker thresholds. State: it
 * outlives policies, which only change the bounds, so that an apply under load neither forgets calls nor cuts them.
 */
export class DestinationUsage {
  /** Calls on connections, those whose connection is being made included. */
  requests = 0;
  /** Calls that wait for a connection. */
  pending = 0;
  readonly #name: string;
  #limits: UsageLimits;

  constructor(name: string, limits: UsageLimits) {
    this.#name = name;
    this.#limits = limits;
  }

  /** Takes new bounds; what is under way stays. */
  reconfigure(limits: UsageLimits): void {
    this.#limits = limits;
  }

  get mayBegin(): boolean {
    return this.requests < this.#limits.maxRequests;
  }

  get mayWait(): boolean {
    return this.pending < this.#limits.maxPendingRequests;
  }

  /** Whether calls wait at all. */
  get waits(): boolean {
    return this.#limits.maxPendingRequests > 0;
  }

  /** Why a call is refused that came when a bound was reached. */
  overflow(code: Extract<MeshErrorCode, `OVERFLOW_${string}`>, endpoint: string): MeshError {
    const { maxRequests, maxPendingRequests } = this.#limits;
    switch (code) {
      case "OVERFLOW_REQUESTS":
        return new MeshError(code, {
          message: `${maxRequests} calls to ${this.#name} are under way`,
          hint: "maxRequests of the Service policy's connectionPool sets the bound",
        });
      case "OVERFLOW_PENDING":
        return new MeshError(code, {
          message: `${maxPendingRequests} calls to ${this.#name} wait for a connection, and endpoint ${endpoint} has none to spare`,
          hint: "maxPendingRequests of the Service policy's connectionPool sets the bound",
        });
      default:
        return new MeshError(code, {
          message: `endpoint ${endpoint} of ${this.#name} has no connection to spare, and no call may wait for one`,
          hint: "maxConnections, maxConnectionsPerEndpoint and maxPendingRequests of the Service policy's connectionPool set the bounds",
        });
    }
  }
}

/** Open connections to all endpoints of a service, also those that are being made, and their bound. */
export interface ServiceConnections {
  open: number;
  max: number;
}
