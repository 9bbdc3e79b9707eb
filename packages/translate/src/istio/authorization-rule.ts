import type {
  AccessAction,
  AccessCondition,
  AccessOperation,
  AccessRule,
  AccessSource,
  PolicyPath,
} from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { refuseNulls } from "./policy-target.ts";

/** Istio's Rule of an AuthorizationPolicy. */
export const authorizationRuleMessage: Message<"from" | "to" | "when"> = message("Rule", {
  from: to("rules[].from"),
  to: to("rules[].to"),
  when: to("rules[].when"),
});

/** Istio's From. */
export const fromMessage: Message<"source"> = message("From", { source: to("rules[].from[]") });

/** Istio's To. */
export const toMessage: Message<"operation"> = message("To", { operation: to("rules[].to[]") });

/** Istio's Source. */
export const sourceMessage: Message<
  | "principals"
  | "notPrincipals"
  | "requestPrincipals"
  | "notRequestPrincipals"
  | "namespaces"
  | "notNamespaces"
  | "serviceAccounts"
  | "notServiceAccounts"
  | "trustDomains"
  | "notTrustDomains"
  | "ipBlocks"
  | "notIpBlocks"
  | "remoteIpBlocks"
  | "notRemoteIpBlocks"
> = message("Source", {
  principals: to("from[].principals"),
  notPrincipals: to("from[].notPrincipals"),
  requestPrincipals: to("from[].requestPrincipals"),
  notRequestPrincipals: to("from[].notRequestPrincipals"),
  namespaces: to("from[].namespaces"),
  notNamespaces: to("from[].notNamespaces"),
  serviceAccounts: to("from[].serviceAccounts"),
  notServiceAccounts: to("from[].notServiceAccounts"),
  trustDomains: to("from[].trustDomains"),
  notTrustDomains: to("from[].notTrustDomains"),
  ipBlocks: to("from[].addresses"),
  notIpBlocks: to("from[].notAddresses"),
  remoteIpBlocks: to("from[].remoteAddresses"),
  notRemoteIpBlocks: to("from[].notRemoteAddresses"),
});

/** Istio's Operation. */
export const operationMessage: Message<
  "hosts" | "notHosts" | "ports" | "notPorts" | "methods" | "notMethods" | "paths" | "notPaths"
> = message("Operation", {
  hosts: to("to[].hosts"),
  notHosts: to("to[].notHosts"),
  ports: to("to[].ports"),
  notPorts: to("to[].notPorts"),
  methods: to("to[].methods"),
  notMethods: to("to[].notMethods"),
  paths: to("to[].paths"),
  notPaths: to("to[].notPaths"),
});

/** Istio's Condition. */
export const conditionMessage: Message<"key" | "values" | "notValues"> = message("Condition", {
  key: to("when[].key"),
  values: to("when[].values"),
  notValues: to("when[].notValues"),
});

/** Fields of a source that a policy calls otherwise. */
const renamed: Readonly<Record<string, string>> = {
  ipBlocks: "addresses",
  notIpBlocks: "notAddresses",
  remoteIpBlocks: "remoteAddresses",
  notRemoteIpBlocks: "notRemoteAddresses",
};
const writtenAs: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(renamed).map(([theirs, ours]) => [ours, theirs]),
);

/** The way to a field of a rule as the document has it. */
export const pathInRule = (path: PolicyPath): PolicyPath => {
  const [list, at, field, ...rest] = path;
  if ((list !== "from" && list !== "to") || at === undefined) return path;
  const item = [list, at, list === "from" ? "source" : "operation"];
  return field === undefined ? item : [...item, writtenAs[field] ?? field, ...rest];
};

/**
 * Reads a rule. What is empty, or lacks its source or operation, is refused and never read as "anybody" or "anything". What
 * no call here can have (a method in lower case, an attribute of Envoy's filters) is read so that nobody gets further by it:
 * what would allow does not fit, what would stop a call does.
 *
 * @returns `undefined` for a rule that allows nothing.
 */
export const readAuthorizationRule = (
  fields: FieldsOf<typeof authorizationRuleMessage>,
  action: AccessAction,
): AccessRule | undefined => {
  const isCustom = action === "custom";
  const allows = action === "allow";
  for (const name of ["from", "to", "when"] as const) refuseEmpty(fields, name, name !== "when");
  const from = fields.messages("from", fromMessage)?.flatMap((item) => {
    const source = item.message("source", sourceMessage);
    if (source === undefined) item.refuse("source", "a source is needed: leave `from` out for any caller");
    return source === undefined ? [] : [readSource(source, isCustom)];
  });
  const operations = fields.messages("to", toMessage)?.flatMap((item) => {
    const operation = item.message("operation", operationMessage);
    if (operation === undefined) item.refuse("operation", "an operation is needed: leave `to` out for any call");
    return operation === undefined ? [] : readOperation(operation, allows);
  });
  const conditions = fields.messages("when", conditionMessage) ?? [];
  const when = conditions.filter((each) => !isOfEnvoy(each)).map((condition) => readCondition(condition, isCustom));
  const neverFits = conditions.filter((each) => tellEnvoys(each, allows)).length > 0 || operations?.length === 0;
  if (allows && neverFits) return undefined;
  return {
    ...(from === undefined ? {} : { from }),
    ...(operations === undefined ? {} : { to: operations }),
    ...(when.length === 0 ? {} : { when }),
  };
};

const isOfEnvoy = (fields: FieldsOf<typeof conditionMessage>): boolean =>
  /^experimental\.envoy\.filters\..+\[.+\]$/.test(fields.text("key") ?? "");

/** Tells of an attribute that Envoy's filters would set, of which there are none here. */
const tellEnvoys = (fields: FieldsOf<typeof conditionMessage>, allows: boolean): boolean => {
  if (!isOfEnvoy(fields)) return false;
  readCondition(fields, false);
  const meaning = allows ? "the rule allows nothing" : "the rule holds without it";
  fields.tellNoMeaning("key", `no filter of Envoy's sets "${fields.text("key")}": ${meaning}`);
  return true;
};

const refuseEmpty = <F extends string>(fields: Fields<F>, name: F, needsItems: boolean): void => {
  const items = fields.raw(name);
  if (needsItems && Array.isArray(items) && items.length === 0) {
    fields.refuse(name, "an empty list would mean everything: leave it out if that is meant");
  }
  refuseNulls(fields, name);
};

/** Who calls cannot be named where somebody outside is asked, for that comes before all else (Istio). */
const notForCustom = [
  "principals",
  "notPrincipals",
  "requestPrincipals",
  "notRequestPrincipals",
  "namespaces",
  "notNamespaces",
  "serviceAccounts",
  "notServiceAccounts",
  "trustDomains",
  "notTrustDomains",
] as const;

const sourceNames = [...notForCustom, "ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks"] as const;

const readSource = (fields: FieldsOf<typeof sourceMessage>, isCustom: boolean): AccessSource => {
  const lists = sourceNames.flatMap((name) => {
    const values = fields.texts(name) ?? [];
    return values.length === 0 ? [] : [[name, values] as const];
  });
  if (isCustom) {
    for (const name of notForCustom) {
      if (lists.some(([each]) => each === name)) fields.refuse(name, "is not there for the action CUSTOM (Istio)");
    }
  }
  return Object.fromEntries(lists.map(([name, values]) => [renamed[name] ?? name, values]));
};

const textNames = ["hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"] as const;

const readOperation = (fields: FieldsOf<typeof operationMessage>, allows: boolean): readonly AccessOperation[] => {
  const lists = textNames.flatMap((name) => {
    const values = name === "methods" || name === "notMethods" ? readMethods(fields, name, allows) : fields.texts(name);
    return values === undefined || values.length === 0 ? [] : [[name, values] as const];
  });
  const ports = (["ports", "notPorts"] as const).flatMap((name) => {
    const values = (fields.texts(name) ?? []).map((text, at) => readPort(fields, name, text, at));
    return values.length === 0 ? [] : [[name, values] as const];
  });
  const isMethodless = (fields.texts("methods") ?? []).length > 0 && !lists.some(([name]) => name === "methods");
  return isMethodless ? [] : [Object.fromEntries([...lists, ...ports])];
};

/**
 * Methods, which Envoy compares with case, and of which none here has a lower-case letter. One that has some is left out where
 * that lets in fewer calls, and else read in upper case.
 */
const readMethods = (
  fields: FieldsOf<typeof operationMessage>,
  name: "methods" | "notMethods",
  allows: boolean,
): readonly string[] => {
  const leavesOut = allows === (name === "methods");
  return (fields.texts(name) ?? []).flatMap((method, at) => {
    const upper = method.toUpperCase();
    if (method === upper) return [method];
    const reading = leavesOut ? "it is left out" : `it is read as "${upper}"`;
    fields.warn(name, `methods are written in upper case, so "${method}" fits none: ${reading}`, at);
    return leavesOut ? [] : [upper];
  });
};

const MAX_PORT = 65_535;

const isPort = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) <= MAX_PORT;

const readPort = <F extends "ports" | "notPorts">(
  fields: FieldsOf<typeof operationMessage>,
  name: F,
  text: string,
  at: number,
): number => {
  if (!isPort(text)) fields.refuse(name, `"${text}" is not a port`, at);
  return isPort(text) ? Number(text) : 0;
};

const readCondition = (fields: FieldsOf<typeof conditionMessage>, isCustom: boolean): AccessCondition => {
  const key = fields.text("key") ?? "";
  if (key === "") fields.refuse("key", "a condition needs a key");
  const aboutTheCaller =
    ["source.namespace", "source.serviceAccount", "source.principal", "source.trustDomain"].includes(key) ||
    key.startsWith("request.auth.");
  if (isCustom && aboutTheCaller) fields.refuse("key", `"${key}" is not there for the action CUSTOM (Istio)`);
  const read = (name: "values" | "notValues"): readonly string[] =>
    (fields.texts(name) ?? []).map((value) =>
      key === "destination.port" && isPort(value) ? `${Number(value)}` : value,
    );
  const [values, notValues] = [read("values"), read("notValues")];
  if (values.length === 0 && notValues.length === 0) fields.refuse("values", "values or notValues are needed");
  return {
    key,
    ...(values.length === 0 ? {} : { values }),
    ...(notValues.length === 0 ? {} : { notValues }),
  };
};

/** Whether a rule asks for the address of the first caller, which only trusted proxies tell. */
export const asksForRemoteAddress = ({ from = [], when = [] }: AccessRule): boolean =>
  from.some((source) => (source.remoteAddresses ?? source.notRemoteAddresses) !== undefined) ||
  when.some(({ key }) => key === "remote.ip");
