import { expect, test } from "vitest";
import { policyName } from "./policy-name.ts";

test("a policy has the name of its document", () => {
  expect(policyName("deny-all")).toBe("deny-all");
  expect(policyName("default", "-jwt")).toBe("default-jwt");
});

test("a name that no policy may have becomes one that no other document has", () => {
  const [dotted, dashed] = [policyName("a.b"), policyName("a-.b")];
  expect(dotted).toMatch(/^a-b-[0-9a-f]{8}$/);
  expect(dashed).not.toBe(dotted);
  expect(policyName("a.b")).toBe(dotted);
  const long = [policyName(`${"x".repeat(70)}1`, "-mtls"), policyName(`${"x".repeat(70)}2`, "-mtls")];
  expect(new Set(long).size).toBe(2);
  for (const each of long) expect(each).toMatch(/^[a-z0-9-]{1,63}$/);
  expect(policyName("...")).toMatch(/^x-[0-9a-f]{8}$/);
});
