import { expect, test } from "vitest";
import { gatewayDocument, refusalsOf } from "../../test/gateway-documents.ts";
import { readDocuments } from "../read-documents.ts";
import { translate } from "../translate.ts";

const group = "gateway.networking.k8s.io";

test.each([
  ["GatewayClass", `${group}/v1`, "pass no gateway"],
  ["Gateway", `${group}/v1`, "pass no gateway"],
  ["ListenerSet", `${group}/v1`, "pass no gateway"],
  ["XListenerSet", "gateway.networking.x-k8s.io/v1alpha1", "pass no gateway"],
  ["XMesh", "gateway.networking.x-k8s.io/v1alpha1", "whom a member joins"],
  ["TCPRoute", `${group}/v1alpha2`, "connections are not routed"],
  ["UDPRoute", `${group}/v1alpha2`, "connections are not routed"],
  ["TLSRoute", `${group}/v1alpha3`, "connections are not routed"],
])("a %s has no meaning, with the reason, and is refused where the user is strict", (kind, apiVersion, reason) => {
  const yaml = gatewayDocument(kind, "one", "{ rules: [{ anything: true }] }", { apiVersion });
  const { documents } = readDocuments(yaml, "test.yaml", "default");
  expect(translate(documents)).toMatchObject({
    policies: [],
    findings: [{ level: "no-meaning", path: "spec", message: expect.stringContaining(reason) }],
  });
  expect(translate(documents, { strict: true }).findings).toMatchObject([{ level: "refused" }]);
  expect(refusalsOf(yaml)).toEqual([]);
});
