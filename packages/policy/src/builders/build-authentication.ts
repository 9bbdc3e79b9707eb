import type { AuthenticationPolicy } from "../authentication-policy.ts";
import type { MtlsMode } from "../mesh-policy.ts";
import type { PolicyMeta } from "../policy-meta.ts";
import { type Selected, selectionOf } from "./selection.ts";

/**
 * What callers of a service, or with `"all"` of every service of a namespace, must prove:
 * `authentication(reviews, "permissive")`, with rules about tokens of end users as the option `jwt`.
 */
export const authentication = (
  selected: Selected,
  mode: MtlsMode,
  options: Partial<Omit<PolicyMeta, "origin"> & Pick<AuthenticationPolicy, "jwt">> = {},
): AuthenticationPolicy => ({ kind: "Authentication", ...selectionOf(selected), ...options, mtls: { mode } });
