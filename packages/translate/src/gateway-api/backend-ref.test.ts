import { describe, expect, test } from "vitest";
import { httpRoute, kubernetesService, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";
import { translated } from "../../test/translated.ts";

const known = kubernetesService("reviews") + kubernetesService("v1", "[{ port: 80 }, { port: 81 }]");
const leads = (...backends: readonly string[]): string => httpRoute(`[{ backendRefs: [${backends.join(", ")}] }]`);
const nowhere = { name: "route/0", directResponse: { status: 500 } };

describe("a reference to a backend", () => {
  test("leads to the Service on a port that it has", () => {
    expect(rulesOf(known + leads("{ name: v1, port: 81 }"))).toEqual([{ name: "route/0", split: [{ service: "v1" }] }]);
  });

  test.each([
    ["a Service that is not there", "{ name: nobody, port: 80 }"],
    ["a port that is not there", "{ name: v1, port: 82 }"],
    ["another kind", "{ group: multicluster.x-k8s.io, kind: ServiceImport, name: v1, port: 80 }"],
    ["nothing at all", ""],
  ])("to %s answers 500", (_, backend) => expect(rulesOf(known + leads(backend))).toEqual([nowhere]));

  test("beside others answers 500 for its share, before the rest is drawn by weight", () => {
    expect(
      rulesOf(known + leads("{ name: v1, port: 80, weight: 1 }", "{ name: nobody, port: 80, weight: 3 }")),
    ).toEqual([
      { ...nowhere, name: "route/0/lost", match: [{ fraction: 75 }] },
      { name: "route/0", split: [{ service: "v1", weight: 1 }] },
    ]);
  });

  test("without weight answers nothing", () => {
    expect(rulesOf(known + leads("{ name: v1, port: 80, weight: 0 }"))).toEqual([nowhere]);
  });

  test("is believed where no document tells of any Service", () => {
    expect(rulesOf(leads("{ name: anybody, port: 80 }"))[0]).toMatchObject({ split: [{ service: "anybody" }] });
  });

  test("leads to services that are known besides the documents", () => {
    const { policies } = translated(known + leads("{ name: v2, port: 80 }"), { services: new Set(["shop/v2"]) });
    expect(policies.find(({ kind }) => kind === "Route")).toMatchObject({ rules: [{ split: [{ service: "v2" }] }] });
  });

  test.each([
    ["no port", "{ name: v1 }", "needs a port"],
    ["no name", "{ port: 80 }", "needs a name"],
    ["a port out of range", "{ name: v1, port: 65536 }", "is no port"],
    ["a weight below 0", "{ name: v1, port: 80, weight: -1 }", "is no weight"],
    ["a weight above a million", "{ name: v1, port: 80, weight: 1000001 }", "is no weight"],
    ["a namespace that is none", "{ name: v1, port: 80, namespace: A }", "is no namespace"],
  ])("with %s is refused", (_, backend, reason) => {
    expect(refusalsOf(known + leads(backend))).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});
