import type { RoutePolicy, RouteRule } from "@tulle/policy";
import { readDocuments } from "../src/read-documents.ts";
import { type TranslateOptions, translate } from "../src/translate.ts";
import { translated } from "./translated.ts";

/** A document of the Gateway API in the namespace `shop`. */
export const gatewayDocument = (
  kind: string,
  name: string,
  spec: string,
  { metadata = "", apiVersion = "gateway.networking.k8s.io/v1" } = {},
): string =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { namespace: shop, ${metadata === "" ? "" : `${metadata}, `}name: ${name} }\nspec: ${spec}\n---\n`;

/** The parent of most routes of tests. */
export const toReviews = 'parentRefs: [{ group: "", kind: Service, name: reviews }]';

/** An HTTPRoute of the service `reviews` with these rules. */
export const httpRoute = (rules: string, name = "route", metadata = ""): string =>
  gatewayDocument("HTTPRoute", name, `{ ${toReviews}, rules: ${rules} }`, { metadata });

/** A GRPCRoute of the service `reviews` with these rules. */
export const grpcRoute = (rules: string, name = "route", metadata = ""): string =>
  gatewayDocument("GRPCRoute", name, `{ ${toReviews}, rules: ${rules} }`, { metadata });

/** A Kubernetes Service of `shop` with ports as YAML. */
export const kubernetesService = (name: string, ports = "[{ port: 80, name: http }]", namespace = "shop"): string =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: ${ports} }\n---\n`;

/** The only Route that documents become. */
export const routeOf = (yaml: string): RoutePolicy => {
  const routes = translated(yaml).policies.filter((policy) => policy.kind === "Route");
  if (routes.length !== 1 || routes[0] === undefined)
    throw new Error(`${routes.length} Routes: ${JSON.stringify(routes)}`);
  return routes[0];
};

/** The rules of that Route, without places. */
export const rulesOf = (yaml: string): readonly RouteRule[] =>
  routeOf(yaml).rules.map(({ origin: _, ...rule }) => rule);

/** Why documents are refused, with the ways to the fields. */
export const refusalsOf = (yaml: string): readonly string[] =>
  translated(yaml)
    .findings.filter((finding) => finding.startsWith("refused "))
    .map((finding) => finding.replace(/^refused \S+ /, ""));

/** What becomes of documents: `HTTPRoute/shop/route under Service/shop/reviews: Accepted=True Accepted, …`. */
export const statusesOf = (yaml: string, options: TranslateOptions = {}): readonly string[] =>
  translate(readDocuments(yaml, "test.yaml", "default").documents, options).statuses.map(
    ({ document, parent, conditions }) =>
      `${document} under ${parent}: ${conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).join(", ")}`,
  );
