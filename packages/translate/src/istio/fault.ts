import { type FaultAbort, type FaultDelay, type FaultPolicy, type GrpcStatus, grpcStatusNames } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, refused, to } from "../message.ts";
import { percentMessage, readPercent } from "./percent.ts";
import { wholeDuration } from "./whole-duration.ts";

/** Istio's HTTPFaultInjection. */
export const faultMessage: Message<"delay" | "abort"> = message("HTTPFaultInjection", {
  delay: to("fault.delay"),
  abort: to("fault.abort"),
});

/** Istio's HTTPFaultInjection.Delay. */
export const faultDelayMessage: Message<"percent" | "fixedDelay" | "exponentialDelay" | "percentage"> = message(
  "HTTPFaultInjection.Delay",
  {
    percent: to("fault.delay.percent, as Istio read it before `percentage`"),
    fixedDelay: to("fault.delay.fixed"),
    exponentialDelay: to("fault.delay.exponential"),
    percentage: to("fault.delay.percent"),
  },
);

/** Istio's HTTPFaultInjection.Abort. */
export const faultAbortMessage: Message<"httpStatus" | "grpcStatus" | "http2Error" | "percentage"> = message(
  "HTTPFaultInjection.Abort",
  {
    httpStatus: to("fault.abort.status"),
    grpcStatus: to("fault.abort.grpcStatus"),
    http2Error: refused("Istio does not support it either"),
    percentage: to("fault.abort.percent"),
  },
);

/** Reads the delays and failures that a route makes on purpose. */
export const readFault = (fields: FieldsOf<typeof faultMessage> | undefined): FaultPolicy | undefined => {
  if (fields === undefined) return undefined;
  const delay = readDelay(fields.message("delay", faultDelayMessage));
  const abort = readAbort(fields.message("abort", faultAbortMessage));
  if (!fields.has("delay") && !fields.has("abort")) fields.refuse("delay", "a fault delays or aborts: set one");
  if (delay === undefined && abort === undefined) return undefined;
  return { ...(delay === undefined ? {} : { delay }), ...(abort === undefined ? {} : { abort }) };
};

const readDelay = (fields: FieldsOf<typeof faultDelayMessage> | undefined): FaultDelay | undefined => {
  if (fields === undefined) return undefined;
  const share = shareOf(fields, readPercent(fields.message("percentage", percentMessage)) ?? readOldPercent(fields));
  const fixed = wholeDuration(fields, "fixedDelay");
  const exponential = wholeDuration(fields, "exponentialDelay");
  if (exponential !== undefined) return { exponential, ...share };
  if (fixed !== undefined) return { fixed, ...share };
  if (!fields.has("fixedDelay")) fields.refuse("fixedDelay", "a delay needs its length");
  return undefined;
};

/** Where no share is named, Istio touches no call. */
const shareOf = (
  fields: { warn(name: "percentage", reason: string): void },
  percent: number | undefined,
): { readonly percent: number } => {
  if (percent === undefined)
    fields.warn("percentage", "without a percentage no call is meant: write value: 100 for all");
  return { percent: percent ?? 0 };
};

const readOldPercent = (fields: FieldsOf<typeof faultDelayMessage>): number | undefined => {
  const percent = fields.integer("percent");
  if (percent === undefined || (percent >= 0 && percent <= 100)) return percent;
  fields.refuse("percent", `${percent} is no share in percent: write 0 to 100`);
  return undefined;
};

const readAbort = (fields: FieldsOf<typeof faultAbortMessage> | undefined): FaultAbort | undefined => {
  if (fields === undefined) return undefined;
  const share = shareOf(fields, readPercent(fields.message("percentage", percentMessage)));
  const status = fields.integer("httpStatus");
  const grpcStatus = fields.text("grpcStatus");
  if (status !== undefined && grpcStatus !== undefined) {
    fields.refuse("grpcStatus", "httpStatus and grpcStatus are set: set one");
    return undefined;
  }
  if (grpcStatus !== undefined) {
    if (isGrpcStatus(grpcStatus)) return { grpcStatus, ...share };
    fields.refuse("grpcStatus", `"${grpcStatus}" is no status of gRPC`);
    return undefined;
  }
  if (status !== undefined && status >= 200 && status <= 599) return { status, ...share };
  if (!fields.has("httpStatus")) fields.refuse("httpStatus", "an abort needs its status");
  else if (status !== undefined) fields.refuse("httpStatus", `${status} is no status: write 200 to 599`);
  return undefined;
};

const isGrpcStatus = (name: string): name is GrpcStatus => (grpcStatusNames as readonly string[]).includes(name);
