import { type MeshErrorCode, meshErrorCodes } from "@tulle/policy";

/** Plain integers that cost nothing to count; telemetry and `mesh.status` read them. */
export class ServerCounters {
  /** Requests that came in, refused ones too. */
  visits = 0;
  /** Refusals that were noted and not enforced, for the service has not moved in. */
  observedRefusals = 0;
  /** Header fields that strangers sent and only peers may say. */
  strippedHeaders = 0;
  /** Connections that said nothing in time, or beyond the bound of those that may stay silent. */
  silentConnections = 0;
  /** Handshakes that broke off before anybody proved anything. */
  failedHandshakes = 0;
  /** Connections that were ended because the peer's certificate ran out or its root was dropped. */
  retiredConnections = 0;
  /** Visits that rules of audit access policies fitted, once for each policy. */
  auditedVisits = 0;
  /** What access policies in dry-run would have changed. */
  dryRunFindings = 0;
  /** Questions to authorizers outside. */
  authorizerCalls = 0;
  /** Answers of theirs that refused a visit. */
  authorizerDenials = 0;
  /** Questions that could not be asked or were not answered. */
  authorizerFailures = 0;
  /** Visits that passed for nobody could be asked about them. */
  authorizerFailedOpen = 0;
  /** Questions beyond the bound of those that may be asked at once. */
  authorizerOverflows = 0;
  readonly #refusals = new Map<MeshErrorCode, number>();

  refused(code: MeshErrorCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  refusalsOf(code: MeshErrorCode): number {
    return this.#refusals.get(code) ?? 0;
  }

  /** All counters by name; `refused.<CODE>` for each code that a server can answer with. */
  read(): Record<string, number> {
    const found: Record<string, number> = {
      visits: this.visits,
      observedRefusals: this.observedRefusals,
      strippedHeaders: this.strippedHeaders,
      silentConnections: this.silentConnections,
      failedHandshakes: this.failedHandshakes,
      retiredConnections: this.retiredConnections,
      auditedVisits: this.auditedVisits,
      dryRunFindings: this.dryRunFindings,
      authorizerCalls: this.authorizerCalls,
      authorizerDenials: this.authorizerDenials,
      authorizerFailures: this.authorizerFailures,
      authorizerFailedOpen: this.authorizerFailedOpen,
      authorizerOverflows: this.authorizerOverflows,
    };
    for (const code of serverCodes) found[`refused.${code}`] = this.refusalsOf(code);
    return found;
  }
}

// Object.keys loses the literal type of a const object's keys.
const serverCodes = (Object.keys(meshErrorCodes) as MeshErrorCode[]).filter(
  (code) => meshErrorCodes[code].side === "server",
);
