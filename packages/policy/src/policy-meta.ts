/** Where a policy was read from, so that a refusal or an explanation can say it. */
export interface PolicyOrigin {
  /** File name as it was given, relative where possible. */
  readonly file: string;
  /** Line, from 1. */
  readonly line: number;
}

/** What all kinds of policy have in common. */
export interface PolicyMeta {
  /** Unique among policies of its kind and namespace. A DNS label: a-z, 0-9 and `-`, at most 63 characters. */
  readonly name: string;
  /** @default "default" */
  readonly namespace?: string;
  /** Free labels, for people and tools; they select nothing. */
  readonly labels?: Readonly<Record<string, string>>;
  /** `dry-run` is typed for later; a policy that uses it is refused as not supported yet. @default "enforce" */
  readonly mode?: "enforce" | "dry-run";
  /** Filled in by whoever reads a file. */
  readonly origin?: PolicyOrigin;
}

/** The namespace of a policy that names none. */
export const DEFAULT_NAMESPACE = "default";

/** The namespace that a policy lives in. */
export const namespaceOf = (policy: PolicyMeta): string => policy.namespace ?? DEFAULT_NAMESPACE;
