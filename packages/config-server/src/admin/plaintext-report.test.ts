import type { Endpoint, ServiceKey } from "@tulle/policy";
import type { EndpointList } from "@tulle/protocol";
import { expect, test } from "vitest";
import type { MemberCallers } from "../push/members.ts";
import { plaintextReport } from "./plaintext-report.ts";

const at = (service: ServiceKey, ...addresses: string[]): EndpointList["services"][number] => ({
  service,
  endpoints: addresses.map((address) => {
    const endpoint: Endpoint = {
      id: `${service} ${address}`,
      address,
      port: 80,
      transport: "mtls",
      labels: {},
      health: "healthy",
      serviceAccount: "a",
    };
    return { ...endpoint, owner: "spiffe://cluster.local/ns/default/sa/a" };
  }),
});

const endpoints: EndpointList = {
  services: [at("default/productpage", "10.0.0.7"), at("default/ratings", "10.0.0.8", "10.0.0.7")],
};

const saw = (
  member: string,
  service: ServiceKey,
  address: string,
  lastSeenMs: number,
  userAgent?: string,
): MemberCallers => ({
  member,
  service,
  callers: [
    { address, transport: "plaintext", requests: 3, lastSeenMs, ...(userAgent === undefined ? {} : { userAgent }) },
  ],
});

const reports = [
  saw("reviews-1", "default/reviews", "10.0.0.8", 900, "node"),
  saw("reviews-2", "default/reviews", "10.0.0.8", 950, "node"),
  saw("reviews-2", "default/reviews", "10.0.0.7", 980),
  saw("details-1", "default/details", "192.0.2.1", 100),
];

test("a caller is one line per service, whichever members it called, with the services that live at its address", () => {
  expect(plaintextReport(reports, endpoints, { sinceMs: 1_000, nowMs: 1_000 }).callers).toEqual([
    {
      service: "default/details",
      address: "192.0.2.1",
      transport: "plaintext",
      from: [],
      requests: 3,
      lastSeenMs: 100,
      members: ["details-1"],
    },
    {
      service: "default/reviews",
      address: "10.0.0.7",
      transport: "plaintext",
      from: ["default/productpage", "default/ratings"],
      requests: 3,
      lastSeenMs: 980,
      members: ["reviews-2"],
    },
    {
      service: "default/reviews",
      address: "10.0.0.8",
      userAgent: "node",
      transport: "plaintext",
      from: ["default/ratings"],
      requests: 6,
      lastSeenMs: 950,
      members: ["reviews-1", "reviews-2"],
    },
  ]);
});

test("one service and a shorter time can be asked for", () => {
  const report = plaintextReport(reports, endpoints, { service: "default/reviews", sinceMs: 75, nowMs: 1_000 });
  expect(report.callers.map(({ address, requests }) => [address, requests])).toEqual([
    ["10.0.0.7", 3],
    ["10.0.0.8", 3],
  ]);
});
