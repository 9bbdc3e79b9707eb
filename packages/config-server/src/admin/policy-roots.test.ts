import { externalService, type Policy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { unreadableRoots } from "./policy-roots.ts";

const unreadable = "-----BEGIN CERTIFICATE-----\nTWVzaA==\n-----END CERTIFICATE-----\n";

test("roots that are certificates, and policies without any, are let through", async () => {
  const [{ root: one }, { root: two }] = [await createTestAuthority(), await createTestAuthority("b.example")];
  const policies: readonly Policy[] = [
    externalService("a", "a.example", { tls: { ca: `${one}\n${two}` } }),
    externalService("b", "b.example"),
    { kind: "Service", name: "c", tls: { ca: one } },
    { kind: "Route", name: "r", services: ["c"], rules: [{}] },
  ];
  expect(unreadableRoots(policies)).toEqual([]);
});

test("roots that cannot be read are told with their place, of several which one", async () => {
  const { root } = await createTestAuthority();
  expect(
    unreadableRoots([
      externalService("a", "a.example", { tls: { ca: root + unreadable } }),
      { kind: "Service", name: "c", tls: { ca: unreadable } },
    ]),
  ).toEqual([
    {
      policy: "ExternalService/default/a",
      path: "tls.ca",
      message: expect.stringContaining("certificate 2 of 2 cannot be read: "),
    },
    { policy: "Service/default/c", path: "tls.ca", message: expect.stringContaining("it cannot be read: ") },
  ]);
});
