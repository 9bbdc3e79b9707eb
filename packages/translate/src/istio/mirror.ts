import type { MirrorTarget } from "@tulle/policy";
import type { Catalog } from "../catalog.ts";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { destinationMessage, readDestination, referenceTo } from "./destination.ts";
import { percentMessage, readPercent } from "./percent.ts";

/** Istio's HTTPMirrorPolicy. */
export const mirrorMessage: Message<"destination" | "percentage"> = message("HTTPMirrorPolicy", {
  destination: to("mirror[].service, mirror[].subset"),
  percentage: to("mirror[].percent"),
});

type MirrorFields = Fields<"mirror" | "mirrors" | "mirrorPercent" | "mirror_percent" | "mirrorPercentage">;

/** Reads where copies go. */
export const readMirrors = (fields: MirrorFields, catalog: Catalog, namespace: string): readonly MirrorTarget[] => {
  const old = oldPercent(fields);
  const percent = readPercent(fields.message("mirrorPercentage", percentMessage)) ?? old;
  const single = fields.message("mirror", destinationMessage);
  const several = fields.messages("mirrors", mirrorMessage) ?? [];
  if (single !== undefined && several.length > 0) fields.refuse("mirrors", "mirror and mirrors are set: set one");
  return [
    ...(single === undefined ? [] : targetOf(single, percent, catalog, namespace)),
    ...several.flatMap((each) => {
      const destination = each.message("destination", destinationMessage);
      if (destination === undefined) each.refuse("destination", "a mirror needs a destination");
      const share = readPercent(each.message("percentage", percentMessage));
      return destination === undefined ? [] : targetOf(destination, share, catalog, namespace);
    }),
  ];
};

/** The names that the share had before; Istio still takes them, with a warning. */
const oldPercent = (fields: MirrorFields): number | undefined => {
  for (const name of ["mirrorPercent", "mirror_percent"] as const) {
    const percent = fields.integer(name);
    if (percent === undefined) continue;
    fields.warn(name, "write mirrorPercentage instead: Istio no longer documents this field");
    if (percent < 0 || percent > 100) fields.refuse(name, `${percent} is no share in percent: write 0 to 100`);
    return percent;
  }
  return undefined;
};

const targetOf = (
  fields: FieldsOf<typeof destinationMessage>,
  percent: number | undefined,
  catalog: Catalog,
  namespace: string,
): readonly MirrorTarget[] => {
  const destination = readDestination(fields, catalog, namespace);
  // Copies to a name that nobody knows are lost in Envoy too.
  if (destination === undefined || destination.unknown !== undefined) return [];
  return [
    {
      service: referenceTo(destination.service, namespace),
      ...(destination.subset === undefined ? {} : { subset: destination.subset }),
      ...(percent === undefined ? {} : { percent }),
    },
  ];
};
