import type { PolicyPath } from "@tulle/policy";
import { Fields } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { isMap, listIn, type RawMap } from "../raw-value.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import { delegateMessage } from "./http-route.ts";

/** A rule of a VirtualService as it stands, or as it becomes when a delegate fills it. */
export interface WrittenRule {
  readonly value: unknown;
  /** Where its findings are told. */
  readonly document: SourceDocument;
  readonly path: PolicyPath;
  /** It is read for what is wrong with it alone. */
  readonly isLeftOut?: true;
}

/**
 * The rules of a document, in which each rule that delegates is replaced by those of its delegate: the delegate's matches within
 * the root's, and what the delegate leaves open by the root. One step deep, as Istio has it. A pair of matches that can never
 * both fit gives no rule.
 *
 * @param delegates VirtualServices without hosts that the document may see.
 */
export const expandDelegates = (
  document: SourceDocument,
  rules: readonly unknown[],
  delegates: readonly SourceDocument[],
  findings: Findings,
): readonly WrittenRule[] =>
  rules.flatMap((value, at): readonly WrittenRule[] => {
    const path: PolicyPath = ["spec", "http", at];
    const rule = mapOf(value);
    const reference = mapOf(rule?.delegate);
    if (rule === undefined || reference === undefined) return [{ value, document, path }];
    const conflict = ["route", "redirect", "directResponse"].find((action) => rule[action] !== undefined);
    if (conflict !== undefined) {
      findings.add(
        "refused",
        document,
        [...path, "delegate"],
        `${conflict} and delegate are set: a rule does one of them`,
      );
      return [];
    }
    const fields = new Fields(reference, delegateMessage, document, [...path, "delegate"], findings);
    const name = fields.text("name") ?? "";
    const namespace = fields.text("namespace") || document.namespace;
    const found = delegates.find((each) => each.name === name && each.namespace === namespace);
    if (found === undefined) {
      findings.add(
        "warning",
        document,
        [...path, "delegate"],
        `no document is VirtualService/${namespace}/${name}, or it is not exported to here: the rule is left out`,
      );
      // Its matches are still checked.
      const { delegate: _, ...rest } = rule;
      return [{ value: { ...rest, directResponse: { status: NO_DELEGATE } }, document, path, isLeftOut: true }];
    }
    return rulesOf(found).flatMap((inner, innerAt): readonly WrittenRule[] => {
      const merged = mergeRules(rule, inner);
      const innerPath: PolicyPath = ["spec", "http", innerAt];
      if (mapOf(inner.delegate) !== undefined) {
        findings.add(
          "refused",
          found,
          [...innerPath, "delegate"],
          `${documentKey(found)} is a delegate: it cannot delegate`,
        );
        return [];
      }
      return merged === undefined ? [] : [{ value: merged, document: found, path: innerPath }];
    });
  });

/** Any answer: the rule is read, and left out. */
const NO_DELEGATE = 404;

const rulesOf = (document: SourceDocument): readonly RawMap[] => {
  const http = mapOf(document.value.spec)?.http;
  return Array.isArray(http) ? http.map((rule) => mapOf(rule) ?? {}) : [];
};

/** What the root fills in where the delegate says nothing. */
const filled = [
  "rewrite",
  "timeout",
  "retries",
  "fault",
  "mirror",
  "mirrors",
  "mirrorPercentage",
  "mirrorPercent",
  "corsPolicy",
  "headers",
] as const;

const mergeRules = (root: RawMap, inner: RawMap): RawMap | undefined => {
  const merged: Record<string, unknown> = { ...inner };
  for (const name of filled) if (merged[name] === undefined && root[name] !== undefined) merged[name] = root[name];
  const outerMatches = listOf(root.match);
  const innerMatches = listOf(inner.match);
  if (outerMatches.length === 0) return merged;
  if (innerMatches.length === 0) return { ...merged, match: outerMatches };
  const both = outerMatches.flatMap((outer) => innerMatches.flatMap((each) => mergeMatches(outer, each) ?? []));
  return both.length === 0 ? undefined : { ...merged, match: both };
};

const texts = ["uri", "scheme", "method", "authority"] as const;
const named = ["headers", "withoutHeaders", "queryParams"] as const;
const values = ["port", "sourceNamespace"] as const;

/** Both matches in one, the delegate's where both say something; `undefined` where they contradict one another. */
const mergeMatches = (outer: RawMap, inner: RawMap): RawMap | undefined => {
  for (const name of texts) if (contradict(outer[name], inner[name])) return undefined;
  for (const name of values) {
    if (outer[name] !== undefined && inner[name] !== undefined && outer[name] !== inner[name]) return undefined;
  }
  if (outer.uri !== undefined && inner.uri !== undefined && outer.ignoreUriCase !== inner.ignoreUriCase)
    return undefined;
  const merged: Record<string, unknown> = { ...outer, ...inner };
  for (const name of [...named, "sourceLabels"]) {
    const [left, right] = [mapOf(outer[name]), mapOf(inner[name])];
    if (left === undefined || right === undefined) continue;
    for (const [key, value] of Object.entries(right)) {
      if (name === "sourceLabels" ? left[key] !== undefined && left[key] !== value : contradict(left[key], value)) {
        return undefined;
      }
    }
    merged[name] = { ...left, ...right };
  }
  return merged;
};

/** Whether two comparisons can never both hold, as far as Istio looks: a pattern goes with no other comparison. */
const contradict = (left: unknown, right: unknown): boolean => {
  const [outer, inner] = [mapOf(left), mapOf(right)];
  if (outer === undefined || inner === undefined) return false;
  if (outer.regex !== undefined || inner.regex !== undefined)
    return Object.keys(outer).length + Object.keys(inner).length > 1;
  if (outer.exact !== undefined) return inner.exact !== outer.exact;
  if (typeof outer.prefix !== "string") return false;
  const text = inner.exact ?? inner.prefix;
  return typeof text === "string" && !text.startsWith(outer.prefix);
};

const mapOf = (value: unknown): RawMap | undefined => (isMap(value) ? value : undefined);

const listOf = (value: unknown): readonly RawMap[] => listIn(value).map((item) => mapOf(item) ?? {});
