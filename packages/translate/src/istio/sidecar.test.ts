import { describe, expect, test } from "vitest";
import { translated } from "../../test/translated.ts";

const sidecar = (spec: string, metadata = "name: default, namespace: istio-system"): string =>
  `apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { ${metadata} }\nspec: ${spec}\n---\n`;

describe("a Sidecar", () => {
  test("of the root namespace says the outbound mode of the mesh, and leaves the rest of the Mesh policy as it is", () => {
    const yaml = sidecar("{ outboundTrafficPolicy: { mode: REGISTRY_ONLY } }");
    expect(translated(yaml)).toEqual({
      policies: [{ kind: "Mesh", name: "mesh", outbound: "registry-only" }],
      findings: [],
    });
    expect(
      translated(yaml, { existing: [{ kind: "Mesh", name: "mesh", trustDomain: "a.example", outbound: "allow-any" }] })
        .policies,
    ).toEqual([{ kind: "Mesh", name: "mesh", trustDomain: "a.example", outbound: "registry-only" }]);
  });

  test("is registry-only where it names no mode, as Istio reads it", () => {
    expect(translated(sidecar("{ outboundTrafficPolicy: {} }")).policies).toMatchObject([
      { outbound: "registry-only" },
    ]);
  });

  test.each([
    ["of another namespace", "name: default, namespace: shop", "{ outboundTrafficPolicy: { mode: REGISTRY_ONLY } }"],
    [
      "of some workloads",
      "name: default, namespace: istio-system",
      "{ workloadSelector: { labels: { app: a } }, outboundTrafficPolicy: { mode: REGISTRY_ONLY } }",
    ],
  ])("%s cannot say the mode of a part of the mesh, which is told", (_, metadata, spec) => {
    const { policies, findings } = translated(sidecar(spec, metadata));
    expect(policies).toEqual([]);
    expect(findings).toEqual([expect.stringMatching(/^no-meaning Sidecar\/.* spec\.outboundTrafficPolicy/)]);
  });

  test("of which egress and ingress are told to have no meaning, with what to write instead", () => {
    const { policies, findings } = translated(
      sidecar(`
  ingress: [{ port: { number: 9080, protocol: HTTP, name: http }, defaultEndpoint: "127.0.0.1:8080" }]
  egress: [{ hosts: ["./*", "istio-system/*"] }]
`),
    );
    expect(policies).toEqual([]);
    expect(findings).toEqual([
      expect.stringContaining("no-meaning Sidecar/istio-system/default spec.ingress"),
      expect.stringContaining("whom they may call is said by AuthorizationPolicies"),
    ]);
  });

  test.each([
    "{}",
    "{ egress: [{ hosts: [] }] }",
    '{ egress: [{ hosts: ["a.example"] }] }',
    '{ egress: [{ hosts: ["a_b!/*"] }] }',
    '{ egress: [{ hosts: ["./*", "./*"] }] }',
    '{ egress: [{ hosts: ["./*"] }, { port: { number: 80 }, hosts: ["./*"] }] }',
    '{ egress: [{ bind: here, hosts: ["./*"] }] }',
    "{ ingress: [{ defaultEndpoint: 127.0.0.1:80 }] }",
    '{ ingress: [{ port: { number: 80 }, defaultEndpoint: "10.0.0.1:80" }] }',
    "{ ingress: [{ port: { number: 80 } }, { port: { number: 80 } }] }",
    "{ outboundTrafficPolicy: { mode: REGISTRY_ONLY, egressProxy: { host: a.example, port: { number: 80 } } } }",
    "{ outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: a.example } } }",
    "{ outboundTrafficPolicy: { mode: SOMETIMES } }",
  ])("%s is refused", (spec) => {
    const { policies, findings } = translated(sidecar(spec));
    expect(policies).toEqual([]);
    expect(findings.some((each) => each.startsWith("refused"))).toBe(true);
  });
});
