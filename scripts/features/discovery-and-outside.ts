import type { FeatureRow } from "./feature-row.ts";

/** Where endpoints come from, who is told of them, and what is outside the mesh. */
export const discoveryAndOutside: readonly FeatureRow[] = [
  {
    row: 1,
    capability: "Where endpoints come from",
    written: "members register; `ExternalService` by DNS or by addresses; `fallback: dns` of a Service",
    example: `
kind: ExternalService
name: payments
hosts: [api.payments.example]
resolution: dns
tls: { mode: simple }`,
    tests: [
      [
        "packages/client/test/external-service.test.ts",
        "is found by DNS and called over TLS: the server is asked by the host's name, with the user's roots",
      ],
      [
        "packages/client/test/external-service.test.ts",
        "with static addresses asks no DNS, and goes to the next address when one is dead",
      ],
      [
        "packages/client/src/dns/dns-name.test.ts",
        "in use is asked for again before its TTL ends, so that nobody waits",
      ],
    ],
    leftOut: "several ports of one external host, and one address at a time (Envoy's LOGICAL_DNS)",
  },
  {
    row: 3,
    capability: "Limit what each client receives",
    written: "no setting: what is called, or listed as `dependencies`; `discoveryTimeout` bounds the first call",
    tests: [
      [
        "packages/agent/test/streams.test.ts",
        "callers at the same time share one subscription and one wait, and a call that is given up leaves nothing",
      ],
      ["packages/agent/test/streams.test.ts", "waits as long as the member says, and for no more than 1,000 calls"],
    ],
  },
  {
    row: 79,
    capability: "Egress control",
    written: "`outbound: registry-only` of the Mesh, with `ExternalService`; hosts by wildcard with `resolution: none`",
    example: `
{ kind: Mesh, name: mesh, outbound: registry-only }
---
{ kind: ExternalService, name: cloud, hosts: ["*.cloud.example"], resolution: none }`,
    tests: [
      [
        "packages/client/test/external-service.test.ts",
        "lets hosts of external services through, and refuses the rest with names that resemble it",
      ],
      [
        "packages/mesh/test/external-service.test.ts",
        "with the config-server killed and the member restarted from its folder, outside hosts are called at once and external services still",
      ],
    ],
    leftOut: "an egress gateway: there is no proxy; the rule is advice to a process, not a boundary against it",
  },
];
