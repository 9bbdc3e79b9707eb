import {
  type AccessDecision,
  compileAccess,
  effectiveMtlsMode,
  type InboundSnapshot,
  type MtlsMode,
  trustDomainOf,
} from "@tulle/policy";
import type { Watched } from "@tulle/time";

/** An inbound snapshot made ready for the gates. */
export interface InboundPolicy {
  readonly revision: string;
  readonly mtls: MtlsMode;
  readonly trustDomain: string;
  readonly decide: AccessDecision;
  /** Whether deciding looks at any policy at all; without one the permit is always the same. */
  readonly hasAccess: boolean;
}

/** Makes a snapshot ready. */
export const compileInbound = (snapshot: InboundSnapshot): InboundPolicy => {
  const trustDomain = trustDomainOf(snapshot.mesh);
  return {
    revision: snapshot.revision,
    mtls: effectiveMtlsMode(snapshot),
    trustDomain,
    decide: compileAccess(snapshot.access, trustDomain),
    hasAccess: snapshot.access.length > 0,
  };
};

/** The compiled policy of the present moment; compiled when the snapshot changes, never per request. */
export class CurrentInbound {
  policy: InboundPolicy | undefined;
  /** Snapshots that could not be compiled; the last good one stayed. */
  rejected = 0;
  readonly #unsubscribe: () => void;

  constructor(inbound: Watched<InboundSnapshot | undefined>) {
    this.#take(inbound.current);
    this.#unsubscribe = inbound.subscribe((snapshot) => this.#take(snapshot));
  }

  close(): void {
    this.#unsubscribe();
  }

  #take(snapshot: InboundSnapshot | undefined): void {
    // A policy once known is never unlearnt: an empty snapshot would open or close the service for no reason.
    if (snapshot === undefined) return;
    try {
      this.policy = compileInbound(snapshot);
    } catch {
      this.rejected++;
    }
  }
}
