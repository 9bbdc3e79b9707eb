import type { MirrorTarget } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { referenceTo } from "../istio/destination.ts";
import { type Message, message, to } from "../message.ts";
import { type ReferenceContext, readServiceReference } from "./backend-ref.ts";

/** The Gateway API's HTTPRequestMirrorFilter. */
export const mirrorFilterMessage: Message<"backendRef" | "percent" | "fraction"> = message("HTTPRequestMirrorFilter", {
  backendRef: to("mirror[].service"),
  percent: to("mirror[].percent"),
  fraction: to("mirror[].percent"),
});

/** The Gateway API's Fraction. */
export const fractionMessage: Message<"numerator" | "denominator"> = message("Fraction", {
  numerator: to("percent"),
  denominator: to("percent"),
});

/** The Gateway API's BackendObjectReference. */
export const objectReferenceMessage: Message<"group" | "kind" | "name" | "namespace" | "port"> = message(
  "BackendObjectReference",
  {
    group: to("service"),
    kind: to("service"),
    name: to("service"),
    namespace: to("service"),
    port: to("whether the service has it"),
  },
);

/** Reads where copies go; nowhere where the reference leads nowhere. */
export const readMirror = (
  fields: FieldsOf<typeof mirrorFilterMessage> | undefined,
  references: ReferenceContext,
): readonly MirrorTarget[] => {
  const reference = fields?.message("backendRef", objectReferenceMessage);
  if (fields === undefined || reference === undefined) {
    fields?.refuse("backendRef", "a mirror needs a backend");
    return [];
  }
  const key = readServiceReference(reference, references);
  const percent = fields.integer("percent");
  const fraction = fields.message("fraction", fractionMessage);
  if (percent !== undefined && fraction !== undefined)
    fields.refuse("fraction", "percent and fraction are set: set one");
  if (percent !== undefined && (percent < 0 || percent > 100))
    fields.refuse("percent", `${percent} is no share in percent`);
  if (fraction?.has("numerator") === false) fraction.refuse("numerator", "a fraction needs its numerator");
  const numerator = fraction?.integer("numerator") ?? 0;
  const denominator = fraction?.integer("denominator") ?? 100;
  if (numerator < 0 || denominator < 1 || numerator > denominator) fields.refuse("fraction", "this is no share");
  const share = percent ?? (fraction === undefined ? undefined : (100 * numerator) / Math.max(1, denominator));
  if (key === undefined) return [];
  return [{ service: referenceTo(key, references.home), ...(share === undefined ? {} : { percent: share }) }];
};
