import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createTestIssuer } from "@tulle/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type IstioDocuments, type IstioWorkload, startIstioWorkload } from "./support/istio-workload.ts";

// What Istio's tables say nothing of: its documents, translated, applied to a config-server, and asked over mTLS.

const asked: string[] = [];
const issuer = createTestIssuer();

/** Istio's own sample of an external authorizer: who brings `x-ext-authz: allow` may pass. */
const authorizer = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  const may = request.headers["x-ext-authz"] === "allow";
  response.writeHead(may ? 200 : 403, may ? { "x-user": "somebody" } : { "x-reason": "no" }).end();
});

let workload: IstioWorkload;

beforeAll(async () => {
  authorizer.listen(0, "127.0.0.1");
  await once(authorizer, "listening");
  workload = await startIstioWorkload((request, response) => {
    response.end(`${request.headers["x-user"] ?? "nobody"}`);
  }, "unused");
});

afterAll(async () => {
  await workload[Symbol.asyncDispose]();
  authorizer.closeAllConnections();
  authorizer.close();
});

const policy = (spec: string, meta = "name: b", kind = "AuthorizationPolicy"): string =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: { ${meta} }\nspec: ${spec}\n---\n`;

const inNs1 = (yaml: string): IstioDocuments => ({ namespace: "ns1", yaml });

const call = async (path: string, headers: Readonly<Record<string, string>> = {}, from = "ns1/a") => {
  const answer = await workload.callers.get(from)!.request(`http://b.ns1${path}`, { method: "GET", headers });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
};

const statuses = async (...paths: readonly string[]): Promise<readonly number[]> =>
  Promise.all(paths.map(async (path) => (await call(path)).status));

const meshConfig = (mesh: string): IstioDocuments => ({
  namespace: "istio-system",
  yaml: `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio }\ndata:\n  mesh: |\n${mesh.replaceAll(/^/gm, "    ")}`,
});

test("CUSTOM asks the authorizer that the mesh's configuration names", async () => {
  const { port } = authorizer.address() as AddressInfo;
  await workload.apply([
    meshConfig(`extensionProviders:
- name: sample-ext-authz
  envoyExtAuthzHttp:
    service: 127.0.0.1
    port: ${port}
    pathPrefix: /check
    includeRequestHeadersInCheck: [x-ext-authz]
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnDeny: [x-reason]`),
    inNs1(
      policy(
        '{ selector: { matchLabels: { app: b } }, action: CUSTOM, provider: { name: sample-ext-authz }, rules: [{ to: [{ operation: { paths: ["/headers"] } }] }] }',
      ),
    ),
  ]);
  expect(await call("/headers", { "x-ext-authz": "allow" })).toMatchObject({ status: 200, body: "somebody" });
  expect(await call("/headers", { "x-ext-authz": "deny" })).toMatchObject({
    status: 403,
    headers: { "x-reason": "no" },
  });
  expect(await call("/ip")).toMatchObject({ status: 200, body: "nobody" });
  expect(asked).toEqual(["GET /check/headers", "GET /check/headers"]);
});

test("deny all, then allow step by step, as in Istio's task", async () => {
  const denyAll = policy("{}", "name: allow-nothing");
  await workload.apply([inNs1(denyAll)]);
  expect(await statuses("/", "/reviews")).toEqual([403, 403]);
  const allow = policy(
    '{ selector: { matchLabels: { app: b } }, action: ALLOW, rules: [{ from: [{ source: { principals: ["cluster.local/ns/ns1/sa/a"] } }], to: [{ operation: { methods: ["GET"], paths: ["/reviews*"] } }] }] }',
  );
  await workload.apply([inNs1(denyAll + allow)]);
  expect(await statuses("/", "/reviews")).toEqual([403, 200]);
  const refused = await call("/reviews", {}, "ns2/a");
  expect(refused.status).toBe(403);
  expect(refused.body).toContain("considered: Access/ns1/allow-nothing (istio.yaml:1), Access/ns1/b (istio.yaml:6)");
});

test("a policy of a root namespace of another name holds for all namespaces", async () => {
  const yaml = policy('{ action: DENY, rules: [{ to: [{ operation: { paths: ["/admin*"] } }] }] }');
  await workload.apply([{ namespace: "mesh-root", yaml }]);
  expect(await statuses("/admin", "/")).toEqual([200, 200]);
  await workload.apply([meshConfig("rootNamespace: mesh-root"), { namespace: "mesh-root", yaml }]);
  expect(await statuses("/admin", "/")).toEqual([403, 200]);
});

test("a policy for a Service is for its instances, and one for another Service for none of them", async () => {
  const denying = (name: string) =>
    inNs1(policy(`{ targetRefs: [{ kind: Service, group: "", name: ${name} }], action: DENY, rules: [{}] }`));
  await workload.apply([denying("b")]);
  expect(await statuses("/")).toEqual([403]);
  await workload.apply([denying("a")]);
  expect(await statuses("/")).toEqual([200]);
});

test("a dry run stops nobody", async () => {
  const spec = "{ action: DENY, rules: [{}] }";
  await workload.apply([inNs1(policy(spec, 'name: b, annotations: { istio.io/dry-run: "true" }'))]);
  expect(await statuses("/")).toEqual([200]);
  await workload.apply([inNs1(policy(spec))]);
  expect(await statuses("/")).toEqual([403]);
});

test("a token is optional until a rule requires it", async () => {
  const rule = (more: string) =>
    inNs1(
      policy(
        `{ selector: { matchLabels: { app: b } }, jwtRules: [{ issuer: "${issuer.issuer}", jwks: '${issuer.jwks}'${more} }] }`,
        "name: b",
        "RequestAuthentication",
      ),
    );
  const good = { authorization: `Bearer ${issuer.token()}` };
  const seen = async () => [(await call("/")).status, (await call("/", good)).status];
  await workload.apply([rule("")]);
  expect(await seen()).toEqual([200, 200]);
  await workload.apply([rule(", presence: REQUIRED")]);
  expect(await seen()).toEqual([401, 200]);
  expect((await call("/")).headers["www-authenticate"]).toBe('Bearer realm="https://b.ns1/"');
});

test("a rule that cannot fit any call here allows nothing, and stops more than it would", async () => {
  const ofEnvoy = '{ key: "experimental.envoy.filters.a.b[c]", values: [d] }';
  await workload.apply([inNs1(policy(`{ rules: [{ when: [${ofEnvoy}] }] }`))]);
  expect(await statuses("/")).toEqual([403]);
  await workload.apply([
    inNs1(policy(`{ action: DENY, rules: [{ to: [{ operation: { paths: ["/a"] } }], when: [${ofEnvoy}] }] }`)),
  ]);
  expect(await statuses("/a", "/b")).toEqual([403, 200]);
});
