import { describe, expect, test } from "vitest";
import { readMeshFile } from "./mesh-file.ts";

describe("a mesh file", () => {
  test("holds policies and endpoints, in any order", () => {
    const text = [
      "kind: Service",
      "name: reviews",
      "---",
      "kind: Endpoints",
      "service: reviews",
      "endpoints:",
      "  - 127.0.0.1:9080",
      "  - { address: 127.0.0.1, port: 9081, labels: { version: v2 } }",
      "---",
      "kind: Route",
      "name: reviews",
      "services: [reviews]",
      "rules: [{ timeout: 2s }]",
    ].join("\n");
    const { policies, endpoints, problems } = readMeshFile(text, "mesh.yaml");
    expect(problems).toEqual([]);
    expect(policies.map(({ kind, origin }) => [kind, origin?.line])).toEqual([
      ["Service", 1],
      ["Route", 10],
    ]);
    expect(endpoints).toEqual({
      reviews: ["127.0.0.1:9080", { address: "127.0.0.1", port: 9081, labels: { version: "v2" } }],
    });
  });

  test("may say where endpoints are", () => {
    const text =
      "kind: Endpoints\nservice: a\nendpoints: [{ address: h, port: 1, locality: { region: eu, zone: a } }]\n";
    expect(readMeshFile(text, "mesh.yaml")).toEqual({
      policies: [],
      endpoints: { a: [{ address: "h", port: 1, locality: { region: "eu", zone: "a" } }] },
      problems: [],
    });
  });

  test("may weigh endpoints", () => {
    const text = (weight: string) =>
      `kind: Endpoints\nservice: a\nendpoints: [{ address: h, port: 1, weight: ${weight} }]\n`;
    expect(readMeshFile(text("3"), "mesh.yaml")).toMatchObject({
      endpoints: { a: [{ address: "h", port: 1, weight: 3 }] },
      problems: [],
    });
    for (const weight of ["0", "1001", "1.5"]) expect(readMeshFile(text(weight), "mesh.yaml").problems).toHaveLength(1);
  });

  test("may hold nothing but endpoints", () => {
    const text = "kind: Endpoints\nservice: reviews\nendpoints: ['127.0.0.1:9080']\n";
    expect(readMeshFile(text, "mesh.yaml")).toEqual({
      policies: [],
      endpoints: { reviews: ["127.0.0.1:9080"] },
      problems: [],
    });
  });

  test("adds up the endpoints that several documents give one service", () => {
    const text = ["1", "2"].map((port) => `kind: Endpoints\nservice: a\nendpoints: ['h:${port}']`).join("\n---\n");
    expect(readMeshFile(text, "mesh.yaml").endpoints).toEqual({ a: ["h:1", "h:2"] });
  });

  test.each([
    ["no service", "kind: Endpoints\nendpoints: []", "service"],
    ["a port that is no number", "kind: Endpoints\nservice: a\nendpoints: [{ address: h, port: x }]", "endpoints.0"],
    [
      "a part of a locality that does not exist",
      "kind: Endpoints\nservice: a\nendpoints: [{ address: h, port: 1, locality: { rack: x } }]",
      "endpoints.0.locality",
    ],
    ["an unknown field", "kind: Endpoints\nservice: a\nendpoints: []\nweights: 1", ""],
  ])("with %s has a problem that names the place", (_what, text, path) => {
    const { problems } = readMeshFile(`# first line\n${text}`, "mesh.yaml");
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ policy: "Endpoints", path, origin: { file: "mesh.yaml", line: 2 } });
  });

  test("keeps the lines of a policy's problem behind endpoints", () => {
    const text = "kind: Endpoints\nservice: a\nendpoints: ['h:1']\n---\nkind: Service\nname: a\nballancer: {}\n";
    const { problems } = readMeshFile(text, "mesh.yaml");
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ origin: { file: "mesh.yaml", line: 7 } });
  });
});
