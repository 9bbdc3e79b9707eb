import { externalService } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { fixedSnapshots } from "./fixed-snapshot.ts";

const reader = { namespace: "default", service: "productpage", defaultTransport: "plaintext", number: 1 } as const;

describe("values become the snapshots that a config-server would have pushed", () => {
  test("a service that only the endpoints name has all defaults", () => {
    const { outbound } = fixedSnapshots({ policies: [], endpoints: { reviews: ["127.0.0.1:9080"] } }, reader);
    expect(outbound.names.lookup("reviews")).toBe("default/reviews");
    expect(outbound.services.get("default/reviews")).toMatchObject({
      policy: { kind: "Service", name: "reviews" },
      endpoints: [
        { id: "127.0.0.1:9080", address: "127.0.0.1", port: 9080, transport: "plaintext", serviceAccount: "reviews" },
      ],
    });
  });

  test("labels, transport and the service account that a policy names are kept", () => {
    const { outbound } = fixedSnapshots(
      {
        policies: [{ kind: "Service", name: "reviews", serviceAccounts: ["bookinfo-reviews"] }],
        endpoints: { "reviews.default": [{ address: "::1", port: 1, labels: { version: "v1" }, transport: "mtls" }] },
      },
      reader,
    );
    expect(outbound.services.get("default/reviews")?.endpoints).toMatchObject([
      { id: "::1:1", labels: { version: "v1" }, transport: "mtls", serviceAccount: "bookinfo-reviews" },
    ]);
  });

  test("services outside the mesh are services of the client, and known by their hosts", () => {
    const payments = externalService("payments", "api.example", { port: 8443 });
    const { outbound } = fixedSnapshots(
      {
        policies: [
          payments,
          externalService("clouds", "*.cloud.example", { resolution: "none" }),
          { kind: "Route", name: "payments", services: ["payments"], rules: [{ timeout: "5s" }] },
        ],
        endpoints: {},
      },
      reader,
    );
    expect(outbound.names.lookup("api.example")).toBe("default/payments");
    expect(outbound.names.passes("a.cloud.example")).toBe(true);
    expect(outbound.services.get("default/payments")).toMatchObject({
      external: payments,
      policy: { kind: "Service", name: "payments", port: 8443 },
      routes: [{ name: "payments" }],
      endpoints: [],
    });
    expect(outbound.services.has("default/clouds")).toBe(false);
  });

  test("the member's own inbound policy is selected", () => {
    const { inbound } = fixedSnapshots(
      {
        policies: [
          { kind: "Access", name: "closed", selector: { service: "productpage" }, action: "allow" },
          { kind: "Access", name: "other", selector: { service: "reviews" }, action: "allow" },
        ],
        endpoints: { productpage: [], reviews: [] },
      },
      reader,
    );
    expect(inbound.access.map((policy) => policy.name)).toEqual(["closed"]);
    expect(inbound.service.name).toBe("productpage");
  });

  test.each([
    ["nothing", ""],
    ["no port", "127.0.0.1"],
    ["port 0", "127.0.0.1:0"],
    ["a port that is too large", "127.0.0.1:65536"],
    ["a URL", "http://127.0.0.1:80"],
    ["a bare IPv6 address", "::1:80"],
  ])("%s is refused as an endpoint, with its service", (_what, address) => {
    expect(() => fixedSnapshots({ policies: [], endpoints: { reviews: [address] } }, reader)).toThrow(
      `the endpoint "${address}" of service "reviews" is no address`,
    );
  });
});
