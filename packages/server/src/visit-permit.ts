import { MeshError } from "@tulle/policy";
import type { Peer, Permit, Visit } from "./gate.ts";

/** The permit of one visit. */
export class VisitPermit implements Permit {
  readonly by: Permit["by"];
  readonly peer: Peer;
  readonly #visit: Pick<Visit, "deny" | "trusted">;

  constructor(by: Permit["by"], peer: Peer, visit: Pick<Visit, "deny" | "trusted">) {
    this.by = by;
    this.peer = peer;
    this.#visit = visit;
  }

  require(condition: unknown, reason: string): asserts condition {
    if (condition) return;
    this.#visit.deny({ code: "ACCESS_DENIED", detail: `the handler denies it: ${reason}` });
    // Frameworks answer with the message of what is thrown, and strangers are told nothing.
    throw new AccessRefused(this.#visit.trusted ? reason : "Forbidden");
  }
}

/** What a handler's own check throws; frameworks answer it with status 403. */
export class AccessRefused extends MeshError {
  /** For Fastify, which would read `status` too, and others that do not. */
  readonly statusCode = 403;

  constructor(message: string) {
    super("ACCESS_DENIED", { message });
  }
}
