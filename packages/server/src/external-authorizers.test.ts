import type { AccessAsk, AuthorizerPolicy } from "@tulle/policy";
import { effectiveAuthorizer } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test, vi } from "vitest";
import { ServerCounters } from "./counters.ts";
import {
  type AuthorizerAnswer,
  type AuthorizerCall,
  ExternalAuthorizers,
  type SendToAuthorizer,
} from "./external-authorizers.ts";
import type { Visit } from "./gate.ts";

const ask: AccessAsk = { authorizer: "opa", policy: "Access/default/admin", rule: "0" };

const answer = (status: number, headers: AuthorizerAnswer["headers"] = {}, body = ""): AuthorizerAnswer => ({
  status,
  headers,
  body: Buffer.from(body),
});

const visitOf = (headers: Record<string, string> = {}, url = "/a/b?c=d") => {
  const abort = new AbortController();
  const rawHeaders = Object.entries(headers).flat();
  // These fields are read and no others.
  const visit = {
    method: "POST",
    signal: abort.signal,
    request: { url, headers: { ...headers }, headersDistinct: {}, rawHeaders },
  } as unknown as Visit;
  return { visit, leave: () => abort.abort(new Error("gone")) };
};

const desk = (send: SendToAuthorizer | undefined, policy: Partial<AuthorizerPolicy> = {}) => {
  const clock = new FakeClock();
  const counters = new ServerCounters();
  const outside = new ExternalAuthorizers(clock, counters, send);
  const authorizer = effectiveAuthorizer({ url: "http://opa:8181", ...policy });
  return { clock, counters, ask: (visit = visitOf().visit) => outside.ask(ask, authorizer, visit), outside };
};

describe("what an authorizer is sent", () => {
  const asked = async (policy: Partial<AuthorizerPolicy>, headers: Record<string, string>, url?: string) => {
    const calls: AuthorizerCall[] = [];
    const { ask: send } = desk(async (call) => {
      calls.push(call);
      return answer(200);
    }, policy);
    await send(visitOf(headers, url).visit);
    return calls[0];
  };

  test("is the call's method, path and query behind the prefix, with host and authorization alone", async () => {
    const headers = { host: "shop", authorization: "Bearer x", cookie: "a=b", "content-length": "3" };
    expect(await asked({ pathPrefix: "/check" }, headers)).toMatchObject({
      method: "POST",
      url: "http://opa:8181/check/a/b?c=d",
      headers: { host: "shop", authorization: "Bearer x" },
    });
  });

  test("holds the headers that are named, and those that are said besides, but none of the connection", async () => {
    const headers = { cookie: "a=b", "x-team": "1", "x-user": "2", "transfer-encoding": "chunked", te: "trailers" };
    const call = await asked(
      {
        includeRequestHeaders: ["Cookie", "x-*", "transfer-encoding", "te"],
        includeAdditionalHeaders: { "X-From": "mesh", "x-user": "nobody" },
      },
      headers,
    );
    expect(call?.headers).toEqual({ cookie: "a=b", "x-team": "1", "x-user": "nobody", "x-from": "mesh" });
  });

  test("is the root for calls without a path", async () => {
    expect((await asked({}, {}, "other:443"))?.url).toBe("http://opa:8181/");
  });
});

describe("an authorizer", () => {
  test("that answers 200 lets the call pass, and what it says of the caller takes the place of what the caller said", async () => {
    const { visit } = visitOf({ "x-user": "forged", "x-envoy-attempt-count": "1" });
    const said = { "X-User": "jason", "x-role": ["a", "b"], "x-envoy-attempt-count": "9", other: "1" };
    const { ask: send, counters } = desk(async () => answer(200, said), {
      headersToUpstreamOnAllow: ["x-*"],
    });
    expect(await send(visit)).toBeUndefined();
    expect(visit.request.headers).toEqual({ "x-user": "jason", "x-role": "a, b", "x-envoy-attempt-count": "1" });
    expect(visit.request.rawHeaders).not.toContain("forged");
    expect(counters).toMatchObject({ authorizerCalls: 1, authorizerDenials: 0, authorizerFailures: 0 });
  });

  test("that answers anything else refuses, and its answer is what the caller is told", async () => {
    const said = { location: "/login", "set-cookie": ["a=1", "b=2"], "content-length": "3", "tulle-drain": "1" };
    const { ask: send, counters } = desk(async () => answer(302, said, "go"));
    expect(await send()).toEqual({
      code: "ACCESS_DENIED",
      detail: 'Access/default/admin rule 0: the authorizer "opa" answers 302',
      policy: "Access/default/admin",
      rule: "0",
      status: 302,
      answer: {
        headers: [
          ["location", "/login"],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
        body: Buffer.from("go"),
      },
    });
    expect(counters.authorizerDenials).toBe(1);
  });

  test("tells callers only those headers that are named", async () => {
    const { ask: send } = desk(async () => answer(401, { "www-authenticate": "Basic", server: "opa" }), {
      headersToDownstreamOnDeny: ["www-*"],
    });
    expect((await send())?.answer?.headers).toEqual([["www-authenticate", "Basic"]]);
  });

  test("that answers 201 refuses too: only 200 means yes", async () => {
    expect(await desk(async () => answer(201)).ask()).toMatchObject({ code: "ACCESS_DENIED", status: 201 });
  });
});

describe("an authorizer that cannot be asked", () => {
  const failures: readonly (readonly [string, SendToAuthorizer | undefined, string])[] = [
    ["answers 503", async () => answer(503), "it answers 503"],
    ["cannot be reached", () => Promise.reject(new Error("refused")), "refused"],
    ["is called by a server without a way to call", undefined, "this server was given no way to ask"],
  ];

  test.each(failures)("for it %s: refused, as nobody said yes", async (_why, send, reason) => {
    const { ask: asking, counters } = desk(send);
    expect(await asking()).toEqual({
      code: "ACCESS_DENIED",
      detail: `Access/default/admin rule 0: the authorizer "opa" could not be asked: ${reason}`,
      policy: "Access/default/admin",
      rule: "0",
      status: 403,
    });
    expect(counters.authorizerFailures).toBe(1);
  });

  test.each(failures)("for it %s: passed where the policy says so, and counted", async (_why, send) => {
    const { ask: asking, counters } = desk(send, { failOpen: true });
    expect(await asking()).toBeUndefined();
    expect(counters).toMatchObject({ authorizerFailures: 1, authorizerFailedOpen: 1 });
  });

  test("is refused with the policy's status", async () => {
    expect(await desk(async () => answer(500), { statusOnError: 503 }).ask()).toMatchObject({ status: 503 });
  });

  test("is waited for no longer than its time, 200 ms where nothing is said", async () => {
    const signals: AbortSignal[] = [];
    const { clock, ask: asking } = desk(({ signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    const refusal = asking();
    await clock.advanceAsync(199);
    expect(signals[0]?.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(await refusal).toMatchObject({ detail: expect.stringContaining("it did not answer within 200 ms") });
    expect(signals[0]?.aborted).toBe(true);
  });

  test("is not waited for when the caller is gone", async () => {
    const { visit, leave } = visitOf();
    const { ask: asking } = desk(() => new Promise(() => undefined));
    const refusal = asking(visit);
    leave();
    expect(await refusal).toMatchObject({ code: "ACCESS_DENIED" });
  });

  test("is asked about no more calls at once than it may be", async () => {
    const pending: (() => void)[] = [];
    const send = vi.fn<SendToAuthorizer>(() => new Promise((resolve) => pending.push(() => resolve(answer(200)))));
    const { ask: asking, counters } = desk(send, { maxConcurrent: 2 });
    const first = [asking(), asking()];
    expect(await asking()).toMatchObject({ detail: expect.stringContaining("it is asked about 2 calls already") });
    for (const resolve of pending) resolve();
    await Promise.all(first);
    const next = asking();
    pending.at(-1)?.();
    expect(await next).toBeUndefined();
    expect(send).toHaveBeenCalledTimes(3);
    expect(counters).toMatchObject({ authorizerOverflows: 1, authorizerCalls: 3 });
  });

  test("for the mesh knows none of its name refuses whatever else is said", async () => {
    const { outside, counters } = desk(async () => answer(200));
    expect(await outside.ask(ask, undefined, visitOf().visit)).toMatchObject({
      detail: expect.stringContaining('the Mesh policy has no authorizer "opa"'),
    });
    expect(counters.authorizerFailures).toBe(1);
  });
});
