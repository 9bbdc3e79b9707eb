import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's Percent. */
export const percentMessage: Message<"value"> = message("Percent", { value: to("percent") });

/** Reads a share of the calls, 0 to 100. */
export const readPercent = (fields: FieldsOf<typeof percentMessage> | undefined): number | undefined => {
  if (fields === undefined) return undefined;
  // A message of protobuf has 0 where nothing is written.
  const value = fields.number("value") ?? 0;
  if (value >= 0 && value <= 100) return value;
  fields.refuse("value", `${value} is no share in percent: write 0 to 100`);
  return undefined;
};
