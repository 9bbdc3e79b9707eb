import type { AccessPolicy, AccessRule } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { ServerCounters } from "../counters.ts";
import { ExternalAuthorizers } from "../external-authorizers.ts";
import type { Visit } from "../gate.ts";
import { compileInbound } from "../inbound-policy.ts";
import { askAuthorizers } from "./ask-authorizers.ts";

const visit = (): Visit =>
  // The gate reads these fields and no others.
  ({
    method: "GET",
    path: "/a",
    signal: new AbortController().signal,
    request: { url: "/a", headers: {}, socket: {}, rawHeaders: [] },
  }) as unknown as Visit;

const custom = (authorizer: string, rule: AccessRule): AccessPolicy => ({
  kind: "Access",
  name: authorizer,
  action: "custom",
  authorizer,
  rules: [rule],
});

const stage = (policies: readonly AccessPolicy[], statuses: Readonly<Record<string, number>> = {}) => {
  const asked: string[] = [];
  const outside = new ExternalAuthorizers(new FakeClock(), new ServerCounters(), async ({ url }) => {
    const { hostname } = new URL(url);
    asked.push(hostname);
    return { status: statuses[hostname] ?? 200, headers: {}, body: new Uint8Array() };
  });
  const authorizers = { first: { url: "http://first" }, second: { url: "http://second" } };
  const policy = compileInbound(
    {
      revision: "1",
      mesh: { kind: "Mesh", name: "mesh", authorizers },
      service: { kind: "Service", name: "reviews" },
      access: policies,
      authentication: [],
    },
    {},
  );
  return { asked, answer: () => askAuthorizers({ policy }, outside)(visit()) };
};

test("calls that no custom rule fits are not held up by a promise", () => {
  expect(stage([]).answer()).toBeUndefined();
  const { answer, asked } = stage([custom("first", { to: [{ paths: ["/b"] }] })]);
  expect(answer()).toBeUndefined();
  expect(asked).toEqual([]);
});

test("each authorizer is asked once, and all must agree", async () => {
  const policies = [custom("first", {}), { ...custom("first", {}), name: "again" }, custom("second", {})];
  const agreeing = stage(policies);
  expect(await agreeing.answer()).toBeUndefined();
  expect(agreeing.asked).toEqual(["first", "second"]);
  const refusing = stage(policies, { first: 401 });
  expect(await refusing.answer()).toMatchObject({ code: "ACCESS_DENIED", status: 401 });
  expect(refusing.asked).toEqual(["first"]);
});

test("a rule that names routes asks about every call, for no route is known yet", async () => {
  const { answer, asked } = stage([
    custom("first", { to: [{ routes: ["/reviews/:id"] }] }),
    custom("second", { to: [{ notRoutes: ["/reviews/:id"] }] }),
  ]);
  expect(await answer()).toBeUndefined();
  expect(asked).toEqual(["first", "second"]);
});
