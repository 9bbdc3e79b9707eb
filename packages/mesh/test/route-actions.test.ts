import type { Policy, RouteRule } from "@tulle/policy";
import { expect, test, vi } from "vitest";
import { explain } from "../src/index.ts";
import { startMesh } from "./support/mesh-fixture.ts";

const policies = (...rules: readonly RouteRule[]): Policy[] => [
  { kind: "Service", name: "productpage" },
  { kind: "Service", name: "reviews" },
  { kind: "Route", name: "reviews", services: ["reviews"], rules },
];

/** What a member tells of the request that it got. */
interface Received {
  readonly headers: Readonly<Record<string, string>>;
}

test("what a rule answers by itself ends with the apply that takes it back, and what it changes arrives over mTLS", async () => {
  await using fixture = await startMesh(policies({ directResponse: { status: 503, body: "closed" } }));
  await fixture.startMember({ service: "reviews" });
  const mesh = await fixture.join({ service: "productpage" });
  const closed = await mesh.fetch("http://reviews/1");
  expect({ status: closed.status, body: await closed.text() }).toEqual({ status: 503, body: "closed" });
  expect(explain(closed)).toMatchObject({ answer: "direct response 503", attempts: [], failure: undefined });

  await fixture.admin.apply(
    policies(
      { match: [{ path: { prefix: "/old" } }], redirect: { prefix: "/users" } },
      {
        rewrite: { regex: { pattern: "^/users/(\\w+)$", substitution: "/u/\\1" }, host: "elsewhere" },
        requestHeaders: { set: { "x-channel": "web" } },
        responseHeaders: { set: { "x-rule": "yes" } },
      },
    ),
  );
  const open = await vi.waitFor(async () => {
    const response = await mesh.fetch("http://reviews/old/7?page=2");
    expect(response.status).toBe(200);
    return response;
  }, 10_000);
  expect(open).toMatchObject({ redirected: true, url: "http://reviews/users/7?page=2" });
  expect(open.headers.get("x-rule")).toBe("yes");
  const { headers } = (await open.json()) as Received;
  expect(headers).toMatchObject({ host: "elsewhere", "x-channel": "web" });
  expect(explain(open)).toMatchObject({
    url: "http://reviews/users/7?page=2",
    sentAs: "http://elsewhere/u/7?page=2",
    changes: ["sent headers: sets x-channel", "answered headers: sets x-rule"],
  });
});

test("a substitution that RE2 cannot run is refused when it is applied, with its place", async () => {
  await using fixture = await startMesh(policies({}));
  const answer = await fixture.admin.call<{ problems: unknown[] }>("POST", "/v1/apply", {
    policies: policies({ rewrite: { regex: { pattern: "/a(?!b)", substitution: "" } } }),
  });
  expect(answer.status).toBe(422);
  expect(answer.body.problems).toEqual([
    expect.objectContaining({ path: "rules[0].rewrite.regex", message: expect.stringContaining("is not RE2") }),
  ]);
});
