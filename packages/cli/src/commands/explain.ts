import { splitServiceKey } from "@tulle/policy";
import type { EndpointList, PolicyList } from "@tulle/protocol";
import type { Command } from "commander";
import type { Explanation, FixedEndpoint } from "tulle";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { usageFailure } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";

interface ExplainOptions extends CommonOptions {
  readonly from: string;
  readonly namespace?: string;
  readonly method: string;
  readonly header: readonly string[];
}

export const explainCommand = (terminal: Terminal): Command =>
  newAdminCommand(
    "explain",
    "tell what would happen to a call and why: rule, split, endpoints, limits; nothing is sent",
  )
    .argument("<url>", "such as http://reviews/reviews/7")
    .requiredOption("--from <service>", "the service that would call: reviews, or reviews.namespace")
    .option("-X, --method <method>", "method of the call", "GET")
    .option("-H, --header <name: value>", "a header of the call; may be given several times", collect, [])
    .action((url: string, options: ExplainOptions) => explain(terminal, url, options));

const explain = async (terminal: Terminal, url: string, options: ExplainOptions): Promise<void> => {
  if (!URL.canParse(url)) throw usageFailure(`"${url}" is no URL: write one such as http://reviews/reviews/7`);
  const headers = Object.fromEntries(options.header.map(parseHeader));
  const [policies, endpoints] = await withAdmin(terminal, options, (admin) =>
    Promise.all([admin.ask<PolicyList>("GET", "/v1/policies"), admin.ask<EndpointList>("GET", "/v1/endpoints")]),
  );
  const explanation = await explainFixed(policies, endpoints, options, url, headers);
  const idle = idleEndpoints(endpoints, explanation);
  if (options.json) {
    printJson(terminal, { ...explanation, revision: policies.revision, notCalled: idle });
    return;
  }
  terminal.write(`${explanation.toString().replaceAll(FIXED_REVISION, policies.revision)}\n`);
  for (const { id, health } of idle) terminal.write(`not called: ${id} is ${health}\n`);
};

/** What a mesh of values calls its only revision. */
const FIXED_REVISION = "static.1";

/** The client's own answer, from a client that holds what the members hold. */
const explainFixed = async (
  { policies }: PolicyList,
  endpoints: EndpointList,
  { from, method }: ExplainOptions,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Explanation> => {
  // Loaded here alone: the other commands need no client.
  const { createMesh, isMeshError } = await import("tulle");
  const [service = from, namespace = "default"] = from.split(".");
  const mesh = createMesh({ service, namespace, mode: "full", policies, endpoints: callable(endpoints) });
  try {
    return mesh.explain(url, { method: method.toUpperCase(), headers });
  } catch (error) {
    if (isMeshError(error, "INVALID_CALL")) throw usageFailure(error.message);
    throw error;
  } finally {
    await mesh.leave();
  }
};

const callable = ({ services }: EndpointList): Readonly<Record<string, readonly FixedEndpoint[]>> =>
  Object.fromEntries(
    services.map(({ service, endpoints }) => {
      const { namespace, name } = splitServiceKey(service);
      return [`${name}.${namespace}`, endpoints.filter(({ health }) => health === "healthy")];
    }),
  );

const idleEndpoints = (
  { services }: EndpointList,
  { service }: Explanation,
): readonly { readonly id: string; readonly health: string }[] =>
  (services.find((each) => each.service === service)?.endpoints ?? [])
    .filter(({ health }) => health !== "healthy")
    .map(({ id, health }) => ({ id, health }));

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];

const parseHeader = (text: string): readonly [string, string] => {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon).trim();
  if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw usageFailure(`--header "${text}" is none: write "name: value"`);
  }
  return [name.toLowerCase(), text.slice(colon + 1).trim()];
};
