import { describe, expect, test } from "vitest";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import { checkPolicy } from "./check-policy.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import { effectiveMtls, mtlsModeOf } from "./mtls-mode.ts";
import type { ServicePolicy } from "./service-policy.ts";

const mesh: MeshPolicy = { kind: "Mesh", name: "mesh", mtls: "permissive" };
const service: ServicePolicy = { kind: "Service", name: "reviews", namespace: "shop" };

type Mtls = NonNullable<AuthenticationPolicy["mtls"]>;

const inShop = (mtls: Mtls, selector?: AuthenticationPolicy["selector"]): AuthenticationPolicy => ({
  kind: "Authentication",
  name: "a",
  namespace: "shop",
  mtls,
  ...(selector === undefined ? {} : { selector }),
});

const inRoot = (mtls: Mtls, selector?: AuthenticationPolicy["selector"]): AuthenticationPolicy => ({
  ...inShop(mtls, selector),
  namespace: "istio-system",
});

const modeOf = (...authentication: AuthenticationPolicy[]) => effectiveMtls({ mesh, service, authentication }).mode;
const portOf = (port: number, ...authentication: AuthenticationPolicy[]) =>
  mtlsModeOf(effectiveMtls({ mesh, service, authentication }), port);

describe("the mTLS mode of a workload", () => {
  test("is the mesh's where no policy says anything", () => {
    expect(modeOf()).toBe("permissive");
    expect(modeOf({ kind: "Authentication", name: "a", namespace: "shop" })).toBe("permissive");
    expect(effectiveMtls({ mesh: { kind: "Mesh", name: "mesh" }, service, authentication: [] }).mode).toBe("strict");
  });

  test("is that of the workload before that of the namespace before that of the root namespace", () => {
    const root = inRoot({ mode: "strict" });
    const namespace = inShop({ mode: "disable" });
    expect(modeOf(root)).toBe("strict");
    expect(modeOf(root, namespace)).toBe("disable");
    expect(modeOf(root, namespace, inShop({ mode: "permissive" }, { service: "reviews" }))).toBe("permissive");
    expect(modeOf(root, namespace, inShop({ mode: "permissive" }, { labels: { app: "reviews" } }))).toBe("permissive");
  });

  test("is the strictest of several on one level", () => {
    expect(modeOf(inShop({ mode: "disable" }), inShop({ mode: "strict" }), inShop({ mode: "permissive" }))).toBe(
      "strict",
    );
  });

  test("is inherited where a policy leaves it unset", () => {
    expect(modeOf(inRoot({ mode: "strict" }), inShop({ mode: "unset" }))).toBe("strict");
    expect(modeOf(inShop({ mode: "disable" }), inShop({ mode: "unset" }, { service: "reviews" }))).toBe("disable");
  });

  test("is that of the whole namespace where a selector has no labels in it", () => {
    const empty = inShop({ mode: "disable" }, { labels: {} });
    expect(modeOf(empty, inShop({ mode: "strict" }, { service: "reviews" }))).toBe("strict");
    expect(modeOf(empty, inShop({ mode: "strict" }))).toBe("strict");
  });

  test("is not that of a selector in the root namespace, which reaches no other namespace", () => {
    expect(modeOf(inRoot({ mode: "disable" }, { labels: { app: "reviews" } }))).toBe("permissive");
  });

  test("follows the root namespace that the mesh names", () => {
    const named = { ...mesh, rootNamespace: "platform" };
    const policy = { ...inShop({ mode: "strict" }), namespace: "platform" };
    expect(effectiveMtls({ mesh: named, service, authentication: [policy] }).mode).toBe("strict");
    expect(effectiveMtls({ mesh: named, service, authentication: [inRoot({ mode: "strict" })] }).mode).toBe(
      "permissive",
    );
  });
});

describe("the mTLS mode of a port", () => {
  const selector = { service: "reviews" };

  test("goes before the workload's", () => {
    const policy = inShop({ mode: "disable", ports: { 9000: "permissive" } }, selector);
    expect([portOf(9000, policy), portOf(8000, policy)]).toEqual(["permissive", "disable"]);
  });

  test("is the workload's where it is unset, which may be inherited", () => {
    expect(portOf(9000, inShop({ mode: "strict", ports: { 9000: "unset" } }, selector))).toBe("strict");
    const namespace = inShop({ mode: "disable" });
    expect(portOf(9000, namespace, inShop({ ports: { 9000: "unset", 8000: "strict" } }, selector))).toBe("disable");
  });

  test("counts in policies that select a workload only", () => {
    expect(portOf(9000, inShop({ ports: { 9000: "disable" } }))).toBe("permissive");
  });

  test("is the strictest of what the workload's policies say of it", () => {
    const open = inShop({ ports: { 9000: "disable" } }, selector);
    expect(portOf(9000, open, inShop({ ports: { 9000: "permissive" } }, selector))).toBe("permissive");
    expect(portOf(9000, open, inShop({ mode: "strict" }, selector))).toBe("strict");
  });
});

test.each([
  [inShop({ ports: { 9000: "strict" } }), "mtls.ports", "ports mean something for single workloads only"],
  [inShop({ ports: { 0: "strict" } }, { service: "a" }), 'mtls.ports["0"]', '"0" is not a port'],
  [inShop({ ports: { 65536: "strict" } }, { service: "a" }), 'mtls.ports["65536"]', '"65536" is not a port'],
  [inShop({ ports: { http: "strict" } }, { service: "a" }), "mtls.ports.http", '"http" is not a port'],
  [inShop({ ports: { "0x1f": "strict" } }, { service: "a" }), 'mtls.ports["0x1f"]', '"0x1f" is not a port'],
])("%j is refused at %s", (policy, path, message) => {
  expect(checkPolicy(policy)).toEqual([expect.objectContaining({ path, message: expect.stringContaining(message) })]);
});
