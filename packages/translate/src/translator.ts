import type { Policy } from "@tulle/policy";
import type { SourceDocument } from "./source-document.ts";
import type { SourceKind } from "./source-kind.ts";
import type { TranslationContext } from "./translation-context.ts";

/**
 * A policy with the documents that it was made of: where one of them is refused, the policy is not given out. Service policies
 * of one name are put together to one, so a translator may give a part of one.
 */
export interface TranslatedPolicy {
  readonly policy: Policy;
  readonly from: readonly SourceDocument[];
  /** A Service policy of which only the fields count that are set: they are laid over the service's policy. @default false */
  readonly part?: true;
}

/** Makes policies of the documents of some kinds that belong together. */
export interface Translator {
  readonly kinds: readonly SourceKind[];
  /** Pure; what it finds goes to the context's findings. Never throws, whatever the documents hold. */
  translate(context: TranslationContext): readonly TranslatedPolicy[];
}
