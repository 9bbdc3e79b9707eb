/** A capability that the field knows, and how it is had in Tulle. */
export interface FeatureRow {
  /** Number in the inventory of what Istio, Envoy, Linkerd, Consul, App Mesh and proxyless gRPC offer. */
  readonly row: number;
  readonly capability: string;
  /** How a user writes it, in a few words; code in backticks. */
  readonly written: string;
  /** Policies in YAML that use it, or what they go through: they are checked as `tulle apply` would. */
  readonly example?: string;
  /** At least one, unless the whole row is left out. */
  readonly tests: readonly ProvingTest[];
  /** What of the row Tulle does not offer, and why. */
  readonly leftOut?: string;
}

/** A test by the file it stands in, from the root, and its title as it is written there. */
export type ProvingTest = readonly [file: string, title: string];
