import { MeshError, type ServiceKey } from "@tulle/policy";
import type { Register } from "@tulle/protocol";
import type { AgentLogger } from "./logger.ts";
import { type MemberRequest, RequestRefused } from "./session.ts";

/** An endpoint as its own process tells it. */
export type Registration = Register["endpoint"];

/** Sends a request, or `undefined` while there is no connection. */
export type Ask = (request: MemberRequest) => Promise<unknown> | undefined;

interface Remembered {
  readonly endpoint: Registration;
  draining: boolean;
}

/** The endpoints of this process, told again after each reconnect. */
export class Registrations {
  readonly #service: ServiceKey;
  readonly #ask: Ask;
  readonly #logger: AgentLogger;
  readonly #remembered = new Map<string, Remembered>();

  constructor(service: ServiceKey, ask: Ask, logger: AgentLogger) {
    this.#service = service;
    this.#ask = ask;
    this.#logger = logger;
  }

  /** See `Agent.register`. */
  async register(endpoint: Registration): Promise<void> {
    this.#remembered.set(endpoint.id, { endpoint, draining: false });
    try {
      await this.#ask({ type: "register", service: this.#service, endpoint });
    } catch (error) {
      if (!(error instanceof RequestRefused)) return this.#untold(endpoint.id, "registration", error);
      this.#remembered.delete(endpoint.id);
      throw new MeshError("JOIN_REFUSED", {
        message: `the config-server refused to register ${endpoint.id} for ${this.#service}: ${error.message}`,
        cause: error,
      });
    }
  }

  /** See `Agent.withdraw`. */
  async withdraw(endpointId: string, state: "draining" | "gone"): Promise<void> {
    const remembered = this.#remembered.get(endpointId);
    if (state === "gone") this.#remembered.delete(endpointId);
    else if (remembered !== undefined) remembered.draining = true;
    try {
      await this.#ask({ type: "withdraw", service: this.#service, endpointId, state });
    } catch (error) {
      this.#untold(endpointId, "withdrawal", error);
    }
  }

  /** A new connection: everything is said again. */
  replay(): void {
    for (const { endpoint, draining } of [...this.#remembered.values()]) {
      if (draining) void this.withdraw(endpoint.id, "draining");
      else this.register(endpoint).catch((error: unknown) => this.#logger.error(String(error)));
    }
  }

  #untold(endpointId: string, what: string, error: unknown): void {
    this.#logger.warn(
      `the ${what} of ${endpointId} was not answered: ${error instanceof Error ? error.message : error}`,
    );
  }
}
