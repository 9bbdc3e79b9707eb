import { DEFAULT_NAMESPACE, MeshError, type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { Register, Revision } from "@tulle/protocol";
import type { AgentLogger } from "./logger.ts";
import { type MemberRequest, RequestRefused } from "./session.ts";

/** An endpoint as its own process tells it. */
export type Registration = Register["endpoint"];

/** Sends a request, or `undefined` while there is no connection. */
export type Ask = (request: MemberRequest) => Promise<unknown> | undefined;

interface Remembered {
  readonly endpoint: Registration;
  draining: boolean;
  /** As not allowed: another policy may allow it. */
  refused: boolean;
}

/** What registrations are made with. */
export interface RegistrationsOptions {
  readonly service: ServiceKey;
  /** Whom the config-server takes the member for. */
  readonly serviceAccount: () => string | undefined;
  readonly ask: Ask;
  readonly logger: AgentLogger;
}

/** The endpoints of this process, told again after each reconnect, and one that was not allowed when the policy changes. */
export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #remembered = new Map<string, Remembered>();
  #policy: Revision | null = null;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** See `Agent.register`. */
  async register(endpoint: Registration): Promise<void> {
    const { service, ask } = this.#options;
    const remembered: Remembered = { endpoint, draining: false, refused: false };
    this.#remembered.set(endpoint.id, remembered);
    try {
      await ask({ type: "register", service, endpoint });
    } catch (error) {
      if (!(error instanceof RequestRefused)) return this.#untold(endpoint.id, "registration", error);
      if (error.code === "not-allowed") remembered.refused = true;
      else this.#remembered.delete(endpoint.id);
      throw new MeshError("JOIN_REFUSED", {
        message: `the config-server refused to register ${endpoint.id} for ${service}: ${error.message}`,
        cause: error,
        ...(error.code === "not-allowed" ? { hint: this.#remedy() } : {}),
      });
    }
  }

  /** See `Agent.withdraw`. */
  async withdraw(endpointId: string, state: "draining" | "gone"): Promise<void> {
    const remembered = this.#remembered.get(endpointId);
    if (state === "gone") this.#remembered.delete(endpointId);
    else if (remembered !== undefined) remembered.draining = true;
    try {
      await this.#options.ask({ type: "withdraw", service: this.#options.service, endpointId, state });
    } catch (error) {
      this.#untold(endpointId, "withdrawal", error);
    }
  }

  /** A new connection: everything is said again. */
  replay(): void {
    for (const { endpoint, draining } of [...this.#remembered.values()]) {
      if (draining) void this.withdraw(endpoint.id, "draining");
      else this.#registerAgain(endpoint);
    }
  }

  /** A policy came, taken or refused by us: what the last one did not allow is said again. */
  policyChanged(revision: Revision | null): void {
    if (revision === this.#policy) return;
    this.#policy = revision;
    for (const { endpoint, draining, refused } of [...this.#remembered.values()]) {
      if (refused && !draining) this.#registerAgain(endpoint);
    }
  }

  #registerAgain(endpoint: Registration): void {
    this.register(endpoint).catch((error: unknown) => this.#options.logger.error(String(error)));
  }

  #remedy(): string {
    const { namespace, name } = splitServiceKey(this.#options.service);
    const account = this.#options.serviceAccount() ?? name;
    const place = namespace === DEFAULT_NAMESPACE ? "" : `namespace: ${namespace}, `;
    return `apply a Service policy named ${name} that lists the service account ${account}, such as { kind: Service, name: ${name}, ${place}serviceAccounts: [${account}] }`;
  }

  #untold(endpointId: string, what: string, error: unknown): void {
    this.#options.logger.warn(
      `the ${what} of ${endpointId} was not answered: ${error instanceof Error ? error.message : error}`,
    );
  }
}
