import { describe, expect, test } from "vitest";
import { translated } from "../../test/translated.ts";

const gateway = (servers: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: edge }\nspec: { selector: { istio: ingressgateway }, servers: ${servers} }\n`;

const port = "port: { number: 80, name: http, protocol: HTTP }";
const tlsPort = "port: { number: 443, name: https, protocol: HTTPS }";

describe("a Gateway", () => {
  test.each([
    `[{ ${port}, hosts: ["*"] }]`,
    `[{ ${port}, hosts: ["shop/a.example"], tls: { httpsRedirect: true } }]`,
    `[{ ${tlsPort}, hosts: [a.example], tls: { mode: SIMPLE, credentialName: a } }]`,
    `[{ ${tlsPort}, hosts: [a.example], tls: { mode: MUTUAL, serverCertificate: a, privateKey: b, caCertificates: c } }]`,
  ])("%s has no meaning inside the mesh, which is told", (servers) => {
    expect(translated(gateway(servers))).toEqual({
      policies: [],
      findings: [expect.stringContaining("no-meaning Gateway/default/edge spec.servers: ")],
    });
  });

  test.each([
    "[]",
    `[{ ${port} }]`,
    '[{ hosts: ["*"] }]',
    `[{ ${port}, hosts: [short] }]`,
    `[{ ${port}, hosts: ["a b/*"] }]`,
    `[{ ${port}, hosts: ["*"] }, { ${port}, hosts: ["*"] }]`,
    `[{ ${port}, hosts: ["*"], tls: { mode: SIMPLE } }]`,
    `[{ ${tlsPort}, hosts: ["*"] }]`,
    `[{ ${tlsPort}, hosts: ["*"], tls: { mode: SIMPLE } }]`,
    `[{ ${tlsPort}, hosts: ["*"], tls: { mode: ISTIO_MUTUAL, credentialName: a } }]`,
    '[{ port: { number: 0, name: http, protocol: HTTP }, hosts: ["*"] }]',
    '[{ port: { number: 80, protocol: HTTP }, hosts: ["*"] }]',
    '[{ port: { number: 80, name: http, protocol: PIGEON }, hosts: ["*"] }]',
    `[{ ${port}, hosts: ["*"], bind: nowhere }]`,
  ])("%s is refused", (servers) => {
    expect(translated(gateway(servers)).findings).toContainEqual(expect.stringMatching(/^refused Gateway/));
  });
});

test("a WorkloadGroup is told by name, with what to do instead", () => {
  const { policies, findings } = translated(
    "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: { name: a }\nspec: { template: { serviceAccount: a } }\n",
  );
  expect(policies).toEqual([]);
  expect(findings).toEqual([expect.stringContaining("no-meaning WorkloadGroup/default/a spec.template: ")]);
});
