import { describe, expect, test } from "vitest";
import { httpRoute, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";

const withFields = (fields: string): string => httpRoute(`[{ ${fields}, backendRefs: [{ name: v1, port: 80 }] }]`);
const ruleWith = (fields: string) => rulesOf(withFields(fields))[0];

describe("a rule's timeouts", () => {
  test.each([
    ["{ request: 10s, backendRequest: 500ms }", { timeout: "10s", attemptTimeout: "500ms" }],
    ["{ request: 0s }", { timeout: "0s" }],
    ["{ request: 1m30s }", { timeout: "1m30s" }],
    ["{ request: 0s, backendRequest: 1s }", { timeout: "0s", attemptTimeout: "1s" }],
    ["{ request: 99999h }", { timeout: "168h" }],
  ])("%s are %o", (timeouts, expected) => expect(ruleWith(`timeouts: ${timeouts}`)).toMatchObject(expected));

  test.each([
    ["{ request: 1s, backendRequest: 2s }", "longer than the request's"],
    ["{ request: 1.5s }", "no duration of the Gateway API"],
    ["{ request: 10 }", "no duration of the Gateway API"],
    ["{ request: -1s }", "no duration of the Gateway API"],
    ["{ request: 100000s }", "no duration of the Gateway API"],
  ])("%s are refused", (timeouts, reason) => {
    expect(refusalsOf(withFields(`timeouts: ${timeouts}`))).toEqual([expect.stringContaining(reason)]);
  });
});

describe("a rule's retries", () => {
  const on = ["connect-failure", "refused-stream", "reset"];

  test.each([
    ["{}", { on, nonIdempotent: true }],
    [
      "{ attempts: 3, backoff: 100ms, codes: [500, 503] }",
      { retries: 3, on, statuses: [500, 503], nonIdempotent: true, backoff: { base: "100ms" } },
    ],
    ["{ attempts: 0 }", { retries: 0, on, nonIdempotent: true }],
    ["{ attempts: 50 }", { retries: 10, on, nonIdempotent: true }],
  ])("%s are %o", (retry, expected) => expect(ruleWith(`retry: ${retry}`)?.retry).toEqual(expected));

  test.each([
    ["{ codes: [200] }", "is no failure"],
    ["{ attempts: -1 }", "no number of attempts"],
    ["{ backoff: 0.1s }", "no duration of the Gateway API"],
  ])("%s are refused", (retry, reason) => {
    expect(refusalsOf(withFields(`retry: ${retry}`))).toEqual([expect.stringContaining(reason)]);
  });
});

describe("a rule's session persistence", () => {
  test.each([
    ["{}", { cookie: {}, endpoint: {} }],
    ["{ sessionName: sid, type: Cookie }", { cookie: { name: "sid" }, endpoint: {} }],
    ["{ sessionName: X-Session, type: Header, absoluteTimeout: 1h }", { header: "X-Session", ttl: "1h", endpoint: {} }],
    ["{ absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent } }", { cookie: {}, ttl: "1h", endpoint: {} }],
  ])("%s is %o", (session, expected) =>
    expect(ruleWith(`sessionPersistence: ${session}`)?.sessionAffinity).toEqual(expected),
  );

  test.each([
    ["{ cookieConfig: { lifetimeType: Permanent } }", "needs an absoluteTimeout"],
    ["{ type: Header, cookieConfig: {} }", "told by a header"],
    ["{ type: IP }", "is not one of"],
    ["{ sessionName: 'a b' }", "no name of a cookie"],
    ["{ absoluteTimeout: 1.5h }", "no duration of the Gateway API"],
  ])("%s is refused", (session, reason) => {
    expect(refusalsOf(withFields(`sessionPersistence: ${session}`))).toEqual([expect.stringContaining(reason)]);
  });
});
