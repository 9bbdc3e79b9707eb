import { describe, expect, it, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const indented = (yaml: string): string => yaml.replaceAll(/^/gm, "    ");

const config = (mesh: string, name = "istio"): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: istio-system }\ndata:\n  mesh: |\n${indented(mesh)}\n  meshNetworks: "networks: {}"`;

const meshOf = (yaml: string) => translated(config(yaml)).policies[0];

describe("the mesh's configuration", () => {
  test("becomes the Mesh policy", () => {
    const { policies, refused, told } = translated(
      config(`trustDomain: td1
trustDomainAliases: [td2]
rootNamespace: root
outboundTrafficPolicy: { mode: REGISTRY_ONLY }
pathNormalization: { normalization: MERGE_SLASHES }
connectTimeout: 10s
defaultHttpRetryPolicy: { attempts: 3, retryOn: connect-failure }
accessLogFile: /dev/stdout
defaultConfig: { tracing: { sampling: 10 } }`),
    );
    expect(refused).toEqual([]);
    expect(told).toEqual([
      "no-meaning data.mesh.accessLogFile: MeshConfig.accessLogFile: calls are told through the OpenTelemetry SDK of each process",
      "no-meaning data.mesh.defaultConfig: MeshConfig.defaultConfig: there are no proxies",
    ]);
    expect(policies).toEqual([
      {
        kind: "Mesh",
        name: "mesh",
        trustDomain: "td1",
        trustDomainAliases: ["td2"],
        rootNamespace: "root",
        outbound: "registry-only",
        pathNormalization: "merge-slashes",
        defaults: { connectTimeout: "10s", retry: { retries: 3, on: ["connect-failure"], nonIdempotent: true } },
      },
    ]);
  });

  it.each([
    ["DEFAULT", "base"],
    ["NONE", "none"],
    ["BASE", "base"],
    ["MERGE_SLASHES", "merge-slashes"],
    ["DECODE_AND_MERGE_SLASHES", "decode-and-merge-slashes"],
  ])("reads paths as %s means it", (normalization, mode) => {
    expect(meshOf(`pathNormalization: { normalization: ${normalization} }`)).toMatchObject({ pathNormalization: mode });
  });

  test("lets calls to the outside pass where it says so", () => {
    expect(meshOf("outboundTrafficPolicy: { mode: ALLOW_ANY }")).toMatchObject({ outbound: "allow-any" });
  });

  test("turns retries off for all", () => {
    expect(meshOf("defaultHttpRetryPolicy: { attempts: 0 }")).toMatchObject({ defaults: { retry: { retries: 0 } } });
  });

  test("becomes nothing where nothing in it is about policy", () => {
    expect(translated(config("enablePrometheusMerge: true")).policies).toEqual([]);
  });

  test("is read out of an IstioOperator too, and a ConfigMap goes before it", () => {
    const operator =
      "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: { name: a }\nspec: { profile: demo, meshConfig: { trustDomain: td1 } }";
    expect(translated(operator).policies).toEqual([{ kind: "Mesh", name: "mesh", trustDomain: "td1" }]);
    const { policies, told } = translated(`${operator}\n---\n${config("trustDomain: td2")}`);
    expect(policies).toEqual([{ kind: "Mesh", name: "mesh", trustDomain: "td2" }]);
    expect(told[0]).toContain("warning");
  });

  test("leaves what it does not name as the mesh has it", () => {
    const opa = { url: "http://opa.security:8181" };
    const existing = [
      { kind: "Mesh", name: "mesh", mtls: "permissive", authorizers: { opa }, defaults: { timeout: "5s" } },
    ] as const;
    const text =
      "trustDomain: td1\nconnectTimeout: 2s\nextensionProviders: [{ name: b, envoyExtAuthzHttp: { service: b.c, port: 1 } }]";
    expect(translated(config(text), { existing }).policies).toEqual([
      {
        kind: "Mesh",
        name: "mesh",
        trustDomain: "td1",
        mtls: "permissive",
        authorizers: { opa, b: { url: "http://b.c:1", timeout: "1m" } },
        defaults: { timeout: "5s", connectTimeout: "2s" },
      },
    ]);
  });

  test("is in no other ConfigMap", () => {
    const { policies, told } = translated(config("trustDomain: td1", "other"));
    expect(policies).toEqual([]);
    expect(told).toEqual(["ignored : ConfigMap says nothing about policy here"]);
  });

  it.each([
    ["a field that there is none", "trustdomain: a", "data.mesh.trustdomain"],
    ["no YAML", "{", "data.mesh"],
    ["a trust domain that is none", "trustDomain: A B", "data.mesh.trustDomain"],
    ["a mode that is none", "outboundTrafficPolicy: { mode: ALL }", "data.mesh.outboundTrafficPolicy.mode"],
    ["a policy for the outside without mode", "outboundTrafficPolicy: {}", "data.mesh.outboundTrafficPolicy.mode"],
    ["documents that not all see", 'defaultVirtualServiceExportTo: ["."]', "data.mesh.defaultVirtualServiceExportTo"],
    ["TLS that nobody could hold", "compliancePolicy: fips-140-2", "data.mesh.compliancePolicy"],
    ["a provider without name", "extensionProviders: [{ prometheus: {} }]", "data.mesh.extensionProviders[0].name"],
    ["a provider without kind", "extensionProviders: [{ name: a }]", "data.mesh.extensionProviders[0].name"],
    [
      "a provider of two kinds",
      "extensionProviders: [{ name: a, prometheus: {}, zipkin: {} }]",
      "data.mesh.extensionProviders[0].name",
    ],
    [
      "a provider that is there twice",
      "extensionProviders: [{ name: a, prometheus: {} }, { name: a, prometheus: {} }]",
      "data.mesh.extensionProviders[1].name",
    ],
    [
      "an authorizer without port",
      "extensionProviders: [{ name: a, envoyExtAuthzHttp: { service: a.b } }]",
      "data.mesh.extensionProviders[0].envoyExtAuthzHttp.port",
    ],
    [
      "an authorizer that is no host",
      "extensionProviders: [{ name: a, envoyExtAuthzHttp: { service: a/b/c, port: 1 } }]",
      "data.mesh.extensionProviders[0].envoyExtAuthzHttp.service",
    ],
  ])("is refused with %s", (_name, mesh, path) => {
    const { policies, refused } = translated(config(mesh));
    expect(policies).toEqual([]);
    expect(refused).toContain(path);
  });
});

describe("an authorizer", () => {
  test("is asked as Envoy would ask it", () => {
    expect(
      meshOf(`extensionProviders:
- name: opa
  envoyExtAuthzHttp:
    service: security/opa.example.com
    port: "8181"
    timeout: 2s
    pathPrefix: /check
    failOpen: true
    statusOnError: "503"
    includeHeadersInCheck: [x-a]
    includeRequestHeadersInCheck: [x-b]
    includeAdditionalHeadersInCheck: { x-mesh: one }
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnDeny: [x-reason]`),
    ).toMatchObject({
      authorizers: {
        opa: {
          url: "http://opa.example.com:8181",
          timeout: "2s",
          pathPrefix: "/check",
          failOpen: true,
          statusOnError: 503,
          includeRequestHeaders: ["x-b", "x-a"],
          includeAdditionalHeaders: { "x-mesh": "one" },
          headersToUpstreamOnAllow: ["x-user"],
          headersToDownstreamOnDeny: ["x-reason"],
        },
      },
    });
  });

  test("is waited for as long as a policy can say, as Istio waits ten minutes", () => {
    const waiting = (timeout: string) =>
      meshOf(`extensionProviders: [{ name: opa, envoyExtAuthzHttp: { service: a.b, port: 1 ${timeout} } }]`);
    expect(waiting("")).toMatchObject({ authorizers: { opa: { timeout: "1m" } } });
    expect(waiting(", timeout: 10m")).toMatchObject({ authorizers: { opa: { timeout: "1m" } } });
  });
});

describe("the root namespace", () => {
  const denyAll = (namespace: string): string =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a, namespace: ${namespace} }\nspec: {}`;

  test("needs no Mesh policy where it has Istio's name", () => {
    expect(translated(denyAll("istio-system")).policies).toMatchObject([{ kind: "Access", namespace: "istio-system" }]);
  });

  test("is told to the mesh where it has another name, or its policies would hold for themselves alone", () => {
    expect(translated(denyAll("root"), { rootNamespace: "root" }).policies).toEqual([
      { kind: "Access", name: "a", namespace: "root", action: "allow" },
      { kind: "Mesh", name: "mesh", rootNamespace: "root" },
    ]);
    expect(translated(denyAll("other"), { rootNamespace: "root" }).policies).toHaveLength(1);
  });

  test("is what the mesh has it to be already", () => {
    const existing = [{ kind: "Mesh", name: "mesh", rootNamespace: "root" }] as const;
    expect(translated(denyAll("root"), { existing }).policies).toMatchObject([{ kind: "Access", namespace: "root" }]);
  });

  test("is what the mesh's configuration says", () => {
    const target = `${denyAll("root").replace("spec: {}", "spec: { targetRefs: [{ kind: Service, name: b }] }")}`;
    expect(translated(`${target}\n---\n${config("rootNamespace: root")}`).refused).toContain("spec.targetRefs[0].name");
    expect(translated(`${target}\n---\n${config("rootNamespace: other")}`).refused).toEqual([]);
  });
});
