import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer } from "node:net";
import type { Policy } from "@tulle/policy";
import { readDocuments, translate } from "@tulle/translate";
import { expect } from "vitest";
import type { Mesh } from "../../src/mesh.ts";
import { type MeshFixture, startMesh } from "./mesh-fixture.ts";

/** Documents of a namespace, as Istio's tests have them: templates whose open places are filled here. */
export interface IstioDocuments {
  readonly namespace: string;
  readonly yaml: string;
}

/** The workload `b` of Istio's tests in namespace `ns1`, and who calls it: members of a mesh with a config-server. */
export interface IstioWorkload extends AsyncDisposable {
  /** By namespace and service, `ns1/a`. */
  readonly callers: ReadonlyMap<string, Mesh>;
  /** Makes documents hold, and those of before no longer. */
  apply(documents: readonly IstioDocuments[]): Promise<void>;
}

/** The workload's ports in Istio's tests. */
const workloadPorts = { http: "18080", http2: "18085", grpc: "17070" };

/** What the workload is spoken to in. */
export type IstioProtocol = keyof typeof workloadPorts;

const service = (name: string, namespace: string, protocol: IstioProtocol): IstioDocuments => ({
  namespace,
  yaml: `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ name: ${protocol}, port: 80 }] }`,
});

/** What Istio's tests take for granted. */
const meshConfig: IstioDocuments = {
  namespace: "istio-system",
  yaml: `apiVersion: v1
kind: ConfigMap
metadata: { name: istio }
data:
  mesh: |
    rootNamespace: istio-system
    pathNormalization: { normalization: BASE }`,
};

/** The hosts by which its tests call the workload besides its own name. */
const hosts = ["allow.b.com", "deny.b.com"];

/** Translates documents. Fails where any of them is refused. */
export const istioPolicies = (documents: readonly IstioDocuments[]): readonly Policy[] => {
  const read = documents.map(({ namespace, yaml }) => readDocuments(yaml, "istio.yaml", namespace));
  expect(read.flatMap(({ problems }) => problems)).toEqual([]);
  const { policies, findings } = translate(read.flatMap((each) => each.documents));
  expect(findings.filter(({ level }) => level === "refused")).toEqual([]);
  return policies;
};

/** Starts a config-server, the workload with a handler, and its callers. */
export const startIstioWorkload = async (
  handler: RequestListener,
  jwksUri: string,
  protocol: IstioProtocol = "http",
): Promise<IstioWorkload> => {
  const callers = ["ns1/a", "ns2/a"];
  const port = await freePort();
  const fill = ({ namespace, yaml }: IstioDocuments): IstioDocuments => ({
    namespace,
    yaml: yaml
      .replaceAll("@JWKS_URI@", jwksUri)
      .replaceAll(workloadPorts[protocol], `${port}`)
      .replaceAll(/\{\{.*?ServicePort.*?\}\}/g, "80")
      .replaceAll(/\{\{.*?default "(.*?)".*?\}\}/g, "$1"),
  });
  const base = [
    meshConfig,
    service("b", "ns1", protocol),
    ...callers.map((each) => service("a", each.slice(0, each.indexOf("/")), "http")),
  ];
  const policiesOf = (documents: readonly IstioDocuments[]): readonly Policy[] =>
    istioPolicies([...base, ...documents].map(fill)).map((policy) =>
      policy.kind === "Service" && policy.name === "b" ? { ...policy, hosts } : policy,
    );
  const fixture: MeshFixture = await startMesh(policiesOf([]));
  const b = await fixture.join({
    service: "b",
    namespace: "ns1",
    labels: { app: "b" },
    token: await fixture.token("b", "ns1"),
  });
  await b.listen(handler, { port, host: "127.0.0.1", signals: false });
  const joined = await Promise.all(
    callers.map(async (each) => {
      const [namespace = "", name = ""] = each.split("/");
      return [
        each,
        await fixture.join({ service: name, namespace, token: await fixture.token(name, namespace) }),
      ] as const;
    }),
  );
  return {
    callers: new Map(joined),
    apply: async (documents) => {
      const { status, body } = await fixture.admin.call<{ revision: string }>("POST", "/v1/apply", {
        policies: policiesOf(documents),
        prune: true,
      });
      expect({ status, body }).toMatchObject({ status: 200 });
      await fixture.admin.acknowledged(body.revision);
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
};

/** A port of this machine that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
};
