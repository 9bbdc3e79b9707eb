import { readFileSync } from "node:fs";
import type { Policy } from "@tulle/policy";
import { readDocuments, type SourceDocument, translate } from "@tulle/translate";
import { type Corpus, corpus } from "../../../policy/test/corpus.ts";

/** The namespaces of the Gateway API's conformance documents. */
export const MESH = "gateway-conformance-mesh";
export const INFRA = "gateway-conformance-infra";

/** A test of the Gateway API's conformance suite; `applies` says whether its routes are bound to a Service as they stand. */
export interface ConformanceTest<Case> {
  readonly test: string;
  readonly applies: string;
  readonly manifests: readonly string[];
  readonly cases: readonly Case[];
}

/** The Gateway API's conformance cases, with cases of the form that a test reads. */
export const conformance = <Case>(): Corpus<{ readonly tests: readonly ConformanceTest<Case>[] }> =>
  corpus("gateway-api/cases.json");

/** The documents of a test; routes of a Gateway are bound to the Service `front` instead. */
export const documentsOf = (
  { applies, manifests }: Pick<ConformanceTest<unknown>, "applies" | "manifests">,
  beside: (name: string) => string,
): readonly SourceDocument[] => {
  const reparent = applies === "re-parent";
  const documents = manifests.flatMap((file) => documentsIn(file, reparent ? INFRA : MESH, beside));
  return reparent ? documents.map(bindToFront) : documents;
};

/** The policies of a test's documents and of the services that all tests share; throws where a document is refused. */
export const policiesWith = (
  routes: readonly SourceDocument[],
  beside: (name: string) => string,
): readonly Policy[] => {
  const base = [
    ...documentsIn("base/manifests.yaml", MESH, beside),
    ...documentsIn("mesh/manifests.yaml", MESH, beside),
    ...readDocuments(front, "front.yaml", INFRA).documents,
  ].filter(({ kind }) => kind === "Service" || kind === "Deployment");
  const { policies, findings } = translate([...base, ...routes]);
  const refused = findings.filter(({ level }) => level === "refused");
  if (refused.length > 0) throw new Error(refused.map(({ message }) => message).join("\n"));
  const callers = [MESH, INFRA].map((namespace): Policy => ({ kind: "Service", name: "client", namespace }));
  return [...policies, ...callers];
};

const front = `apiVersion: v1
kind: Service
metadata: { name: front, namespace: ${INFRA} }
spec: { ports: [{ port: 80 }] }`;

const documentsIn = (file: string, namespace: string, beside: (name: string) => string): readonly SourceDocument[] => {
  const { documents, problems } = readDocuments(readFileSync(beside(file), "utf8"), file, namespace);
  if (problems.length > 0) throw new Error(`${file} cannot be read: ${JSON.stringify(problems)}`);
  return documents;
};

const bindToFront = (source: SourceDocument): SourceDocument => {
  if (!source.kind.endsWith("Route")) return source;
  // A route has a spec.
  const spec = source.value.spec as object;
  const parentRefs = [{ group: "", kind: "Service", name: "front", namespace: INFRA }];
  return { ...source, value: { ...source.value, spec: { ...spec, parentRefs } } };
};
