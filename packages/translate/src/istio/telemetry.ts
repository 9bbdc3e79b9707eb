import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { ignored, type Message, message, noMeaning } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { policySelectorMessage } from "./policy-selector.ts";
import { policyTargetMessage, readScope, refuseNulls } from "./policy-target.ts";

const reason = "the OpenTelemetry SDK of each process decides what is told, and to whom";

const spec: Message<"selector" | "targetRef" | "targetRefs" | "tracing" | "metrics" | "accessLogging"> = message(
  "Telemetry",
  {
    selector: ignored("what it would choose workloads for has no meaning"),
    targetRef: ignored("what it would choose workloads for has no meaning"),
    targetRefs: ignored("what it would choose workloads for has no meaning"),
    tracing: noMeaning(`${reason}: set its sampler and exporter`),
    metrics: noMeaning(`${reason}: set its views and exporter`),
    accessLogging: noMeaning(`${reason}: spans say what an access log would`),
  },
);

/** The list that it stands in has no meaning, and tells so. */
const none = ignored(reason);

const tracingMessage: Message<
  | "match"
  | "providers"
  | "randomSamplingPercentage"
  | "disableSpanReporting"
  | "customTags"
  | "useRequestIdForTraceSampling"
  | "enableIstioTags"
> = message("Tracing", {
  match: none,
  providers: none,
  randomSamplingPercentage: ignored("sampling is the matter of the SDK: OTEL_TRACES_SAMPLER"),
  disableSpanReporting: none,
  customTags: none,
  useRequestIdForTraceSampling: none,
  enableIstioTags: none,
});

const metricsMessage: Message<"providers" | "overrides" | "reportingInterval"> = message("Metrics", {
  providers: none,
  overrides: none,
  reportingInterval: none,
});

const overrideMessage: Message<"match" | "disabled" | "tagOverrides"> = message("MetricsOverrides", {
  match: none,
  disabled: none,
  tagOverrides: none,
});

const metricMatchMessage: Message<"metric" | "customMetric" | "mode"> = message("MetricSelector", {
  metric: none,
  customMetric: none,
  mode: none,
});

const tagOverrideMessage: Message<"operation" | "value"> = message("TagOverride", { operation: none, value: none });

const loggingMessage: Message<"match" | "providers" | "disabled" | "filter"> = message("AccessLogging", {
  match: none,
  providers: none,
  disabled: none,
  filter: none,
});

const providerRefMessage: Message<"name"> = message("ProviderRef", { name: none });

/** Istio's Telemetry. */
export const telemetryKind: SourceKind = {
  group: "telemetry.istio.io",
  kind: "Telemetry",
  versions: ["v1", "v1alpha1"],
  messages: [
    spec,
    policySelectorMessage,
    policyTargetMessage,
    tracingMessage,
    metricsMessage,
    overrideMessage,
    metricMatchMessage,
    tagOverrideMessage,
    loggingMessage,
    providerRefMessage,
  ],
};

/** Telemetry documents become nothing, for what is told is the SDK's matter; what Istio refuses in them is refused. */
export const telemetries: Translator = {
  kinds: [telemetryKind],
  translate: (context) => {
    for (const document of documentsOf(context, telemetryKind)) {
      const whole = new Fields(document.value, documentMessage, document, [], context.findings);
      const fields = whole.message("spec", spec);
      if (fields !== undefined) readSpec(fields, context);
    }
    return [];
  },
};

const readSpec = (fields: FieldsOf<typeof spec>, context: TranslationContext): void => {
  readScope(fields, context, { decidesAccess: false });
  for (const name of ["tracing", "metrics", "accessLogging"] as const) refuseNulls(fields, name);
  for (const tracing of fields.messages("tracing", tracingMessage) ?? []) {
    const percentage = tracing.number("randomSamplingPercentage");
    if (percentage !== undefined && (percentage < 0 || percentage > 100)) {
      tracing.refuse("randomSamplingPercentage", `${percentage} is no percentage from 0 to 100`);
    }
    // Istio knows one place for spans.
    if ((readProviders(tracing)?.length ?? 0) > 1) tracing.refuse("providers", "tracing has one provider");
    refuseEmptyTags(tracing);
  }
  for (const metrics of fields.messages("metrics", metricsMessage) ?? []) {
    readProviders(metrics);
    metrics.duration("reportingInterval");
    for (const override of metrics.messages("overrides", overrideMessage) ?? []) readOverride(override);
  }
  for (const logging of fields.messages("accessLogging", loggingMessage) ?? []) {
    readProviders(logging);
    logging.flag("disabled");
    logging.map("filter");
  }
};

const readProviders = (fields: Fields<"providers">): readonly Fields<"name">[] | undefined => {
  refuseNulls(fields, "providers");
  const providers = fields.messages("providers", providerRefMessage);
  for (const provider of providers ?? []) {
    if ((provider.text("name") ?? "") === "") provider.refuse("name", "a provider needs a name");
  }
  return providers;
};

const refuseEmptyTags = (fields: FieldsOf<typeof tracingMessage>): void => {
  for (const name of Object.keys(fields.map("customTags") ?? {})) {
    if (name === "") fields.refuse("customTags", "a tag has an empty name");
  }
};

const readOverride = (fields: FieldsOf<typeof overrideMessage>): void => {
  const match = fields.message("match", metricMatchMessage);
  if (match?.raw("customMetric") === "") match.refuse("customMetric", "a metric needs a name");
  if (match?.has("metric") && match.has("customMetric")) {
    match.refuse("customMetric", "metric is set too: keep one");
  }
  for (const [name, tag] of fields.messageMap("tagOverrides", tagOverrideMessage) ?? []) {
    if (name === "") fields.refuse("tagOverrides", "a tag has an empty name");
    const operation = tag.oneOf("operation", ["UPSERT", "REMOVE"]) ?? "UPSERT";
    const value = tag.text("value") ?? "";
    if (operation === "UPSERT" && value === "") tag.refuse("value", "UPSERT needs a value");
    if (operation === "REMOVE" && value !== "") tag.refuse("value", "REMOVE has no value");
  }
};
