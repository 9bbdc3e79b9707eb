import { describe, expect, it, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const peer = (spec: string, namespace = "default"): string =>
  `apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: { name: a, namespace: ${namespace} }\nspec: ${spec}`;

describe("a PeerAuthentication", () => {
  it.each([
    ["{}", { mtls: { mode: "unset" } }],
    ["{ mtls: {} }", { mtls: { mode: "unset" } }],
    ["{ mtls: { mode: STRICT } }", { mtls: { mode: "strict" } }],
    ["{ mtls: { mode: PERMISSIVE } }", { mtls: { mode: "permissive" } }],
    [
      "{ selector: { matchLabels: { app: b } }, mtls: { mode: DISABLE }, portLevelMtls: { 8080: { mode: STRICT }, 9090: {} } }",
      {
        selector: { labels: { app: "b" } },
        mtls: { mode: "disable", ports: { 8080: "strict", 9090: "unset" } },
      },
    ],
  ])("%s becomes the modes of an Authentication policy", (spec, fields) => {
    expect(translated(peer(spec))).toEqual({
      policies: [{ kind: "Authentication", name: "a-mtls", namespace: "default", ...fields }],
      told: [],
      refused: [],
    });
  });

  test("of the root namespace stays there, from where it holds for all", () => {
    const { policies } = translated(peer("{ mtls: { mode: STRICT } }", "istio-system"));
    expect(policies).toMatchObject([{ namespace: "istio-system", mtls: { mode: "strict" } }]);
  });

  test("says so where another one is for the same workloads", () => {
    const { told } = translated(
      `${peer("{ mtls: { mode: STRICT } }")}\n---\n${peer("{ mtls: { mode: DISABLE } }").replace("name: a", "name: b")}`,
    );
    expect(told).toEqual([
      "warning spec: PeerAuthentication/default/b is for the same workloads: the stricter of them holds",
      "warning spec: PeerAuthentication/default/a is for the same workloads: the stricter of them holds",
    ]);
  });

  it.each([
    ["a mode that is none", "{ mtls: { mode: BLAH } }", "spec.mtls.mode"],
    ["ports without selector", "{ portLevelMtls: { 80: { mode: STRICT } } }", "spec.portLevelMtls"],
    [
      "ports with a selector of nothing",
      "{ selector: {}, portLevelMtls: { 80: { mode: STRICT } } }",
      "spec.portLevelMtls",
    ],
    ["no port in its ports", "{ selector: { matchLabels: { a: b } }, portLevelMtls: {} }", "spec.portLevelMtls"],
    ["port 0", "{ selector: { matchLabels: { a: b } }, portLevelMtls: { 0: {} } }", 'spec.portLevelMtls["0"]'],
    [
      "a port that is too high",
      "{ selector: { matchLabels: { a: b } }, portLevelMtls: { 65536: {} } }",
      'spec.portLevelMtls["65536"]',
    ],
    [
      "a port that is a name",
      "{ selector: { matchLabels: { a: b } }, portLevelMtls: { http: {} } }",
      "spec.portLevelMtls.http",
    ],
    ["an unknown field", "{ mtsl: { mode: STRICT } }", "spec.mtsl"],
  ])("is refused with %s", (_name, spec, path) => {
    const { policies, refused, told } = translated(peer(spec));
    expect(policies).toEqual([]);
    expect(refused).toContain(path);
    expect(told.at(-1)).toContain("nothing of this is in force");
  });
});
