import { ProtocolError, type RefusalCode, type ServerMessage } from "@tulle/protocol";
import { EnrollmentRefused } from "../enrollment/enrollment.ts";
import { RegistrationRefused } from "../registry/registration.ts";
import type { PushCounters } from "./push-counters.ts";

/** Requests of one member that wait for their answer; more are refused. */
const MAX_PENDING_REQUESTS = 128;

/** What requests are answered with. */
export interface PendingRequestsParts {
  readonly counters: PushCounters;
  readonly say: (message: ServerMessage) => void;
  /** Something failed that is not the member's fault. */
  readonly failed: (error: unknown) => void;
}

/** The requests of one member that wait for their answer. A refusal is of the request alone, and the connection stays. */
export class PendingRequests {
  readonly #parts: PendingRequestsParts;
  #count = 0;

  constructor(parts: PendingRequestsParts) {
    this.#parts = parts;
  }

  /** Carries out a request and answers it. */
  answer(id: number, work: () => Promise<void>): void {
    if (this.#count >= MAX_PENDING_REQUESTS) {
      this.#refuse(id, "too-many", `${MAX_PENDING_REQUESTS} requests wait for their answer already`);
      return;
    }
    this.#count++;
    work()
      .catch((error: unknown) => {
        if (!isRefusal(error)) this.#parts.failed(error);
        const { code, message } = isRefusal(error) ? error : FAILED_REQUEST;
        this.#refuse(id, code, message);
      })
      .finally(() => this.#count--);
  }

  #refuse(id: number, code: RefusalCode, message: string): void {
    this.#parts.counters.count(`refused.${code}`);
    this.#parts.say({ type: "refused", id, code, message });
  }
}

const FAILED_REQUEST = { code: "internal", message: "the config-server could not do this now: ask again" } as const;

const isRefusal = (error: unknown): error is RegistrationRefused | EnrollmentRefused | ProtocolError =>
  error instanceof RegistrationRefused || error instanceof EnrollmentRefused || error instanceof ProtocolError;
