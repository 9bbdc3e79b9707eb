import { policyKinds as kinds, nearest, type PolicyKind } from "@tulle/policy";
import { usageFailure } from "./exit-code.ts";

/**
 * The kind that somebody typed, in any case.
 *
 * @throws CommandFailure usage (2) that names the kinds.
 */
export const policyKind = (typed: string): PolicyKind => {
  const found = kinds.find((kind) => kind.toLowerCase() === typed.toLowerCase());
  if (found !== undefined) return found;
  const [near] = nearest(
    typed.toLowerCase(),
    kinds.map((kind) => kind.toLowerCase()),
  );
  throw usageFailure(
    `there is no kind "${typed}"${near === undefined ? "" : `; did you mean ${near}?`} (${kinds.join(", ")})`,
  );
};
