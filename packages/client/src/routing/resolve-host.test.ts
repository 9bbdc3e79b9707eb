import { buildNameIndex, type MeshPolicy, type OutboundSnapshot } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { HostResolver, resolveUrl } from "./resolve-host.ts";

const snapshotOf = (known: boolean, outbound: MeshPolicy["outbound"] = "allow-any"): OutboundSnapshot => ({
  revision: "static.1",
  mesh: { kind: "Mesh", name: "mesh", outbound },
  names: buildNameIndex(known ? [{ key: "default/reviews", hosts: ["reviews.example.com"] }] : undefined, "default"),
  services: new Map(),
});

describe("resolveUrl", () => {
  test.each([
    ["http://reviews", "default/reviews", 80],
    ["http://REVIEWS.", "default/reviews", 80],
    ["http://reviews.default:9080", "default/reviews", 9080],
    ["http://reviews.default.svc.cluster.local", "default/reviews", 80],
    ["http://reviews.example.com", "default/reviews", 80],
    ["https://reviews", "default/reviews", 443],
  ])("%s is of the mesh", (url, service, port) => {
    expect(resolveUrl(new URL(url), snapshotOf(true))).toMatchObject({ kind: "mesh", service, port });
  });

  test.each([
    "http://example.com",
    "http://db",
    "http://localhost:1",
    "http://[::1]:1",
    "http://10.0.0.1",
    "ws://reviews",
  ])("%s is outside", (url) => expect(resolveUrl(new URL(url), snapshotOf(true))).toMatchObject({ kind: "outside" }));

  test.each([
    ["http://localhost:1", true],
    ["http://127.0.0.1:9080", true],
    ["http://[::1]:1", true],
    ["http://example.com", undefined],
  ])("whether %s is this machine: %s", (url, ownMachine) => {
    expect(resolveUrl(new URL(url), snapshotOf(true))).toEqual(
      ownMachine === undefined ? { kind: "outside" } : { kind: "outside", ownMachine },
    );
  });

  test.each([
    ["http://review.default.svc.cluster.local", true, "allow-any", "UNKNOWN_SERVICE"],
    ["http://reviews", false, "allow-any", "NAMES_UNKNOWN"],
    ["http://example.com", true, "registry-only", "OUTSIDE_REFUSED"],
    ["http://revews", true, "registry-only", "OUTSIDE_REFUSED"],
  ] as const)("%s, names known: %s, %s: %s", (url, known, outbound, code) => {
    expect(resolveUrl(new URL(url), snapshotOf(known, outbound))).toMatchObject({ kind: "refused", code });
  });

  test("while names are unknown, hosts that cannot be short names go on", () => {
    for (const url of ["http://example.com", "http://localhost", "http://[::1]"]) {
      expect(resolveUrl(new URL(url), snapshotOf(false))).toMatchObject({ kind: "outside" });
    }
  });

  test("a mesh without any name leaves long names to whoever resolved them before", () => {
    const snapshot = { ...snapshotOf(true), names: buildNameIndex([], "default") };
    expect(resolveUrl(new URL("http://reviews.default.svc.cluster.local"), snapshot)).toEqual({ kind: "outside" });
  });

  test("a refusal names what was perhaps meant", () => {
    expect(resolveUrl(new URL("http://revews"), snapshotOf(true, "registry-only"))).toMatchObject({
      hint: "did you mean reviews?",
    });
  });
});

describe("HostResolver", () => {
  test("forgets what it remembered when names change", () => {
    const hosts = new HostResolver(snapshotOf(false));
    expect(hosts.resolve("http://reviews").kind).toBe("refused");
    hosts.take(snapshotOf(true));
    expect(hosts.resolve("http://reviews").kind).toBe("mesh");
    expect(hosts.resolve("http://reviews")).toBe(hosts.resolve("http://reviews"));
  });
});
