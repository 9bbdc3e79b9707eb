import { expect, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const filter = (name: string): string => `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: a }
spec:
  workloadSelector: { labels: { app: b } }
  configPatches:
    - applyTo: HTTP_FILTER
      match: { context: SIDECAR_INBOUND }
      patch: { operation: INSERT_BEFORE, value: { name: ${name}, typed_config: {} } }`;

const plugin = (phase: string): string => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: { name: a }
spec: { url: "oci://a/b", phase: ${phase}, pluginConfig: { a: b } }`;

test("what is put into Envoy has no meaning, and says so", () => {
  expect(translated(filter("envoy.filters.http.local_ratelimit"))).toMatchObject({ policies: [], refused: [] });
  expect(translated(filter("envoy.filters.http.local_ratelimit")).told[0]).toMatch(/^no-meaning spec.configPatches: /);
  expect(translated(plugin("STATS")).told[0]).toMatch(/^no-meaning spec.url: /);
});

test.each(["envoy.filters.http.ext_authz", "envoy.filters.http.rbac", "envoy.filters.network.rbac"])(
  "a filter that decides who may call is refused: %s",
  (name) => {
    expect(translated(filter(name)).refused).toEqual(["spec.configPatches[0]"]);
  },
);

test.each(["AUTHN", "AUTHZ"])("a plugin that decides who may call is refused: %s", (phase) => {
  expect(translated(plugin(phase)).refused).toEqual(["spec.phase"]);
});
