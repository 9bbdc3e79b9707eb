import type { AccessPolicy, AccessQuestion, AccessVerdict } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { AccessNotes, MOST_SAMPLES } from "../access-notes.ts";
import { provenConnection } from "../connection.ts";
import { ServerCounters } from "../counters.ts";
import type { Gate, Refusal, Visit } from "../gate.ts";
import { compileInbound, type InboundPolicy } from "../inbound-policy.ts";
import { authorize } from "./authorize.ts";

const START_MS = new FakeClock().wallNow();
const productpage = "spiffe://cluster.local/ns/default/sa/productpage";

const visit = (path = "/reviews/7"): Visit & { readonly denials: Refusal[] } => {
  const denials: Refusal[] = [];
  // The gate reads these fields and no others.
  return {
    method: "GET",
    path,
    trusted: true,
    request: { headers: { "x-forwarded-for": "9.9.9.9, 10.0.0.7" }, socket: {} },
    peer: provenConnection({ remoteAddress: "10.0.0.1" }, productpage, { spiffeId: productpage }).peer,
    denials,
    deny: (refusal: Refusal) => void denials.push(refusal),
  } as unknown as Visit & { readonly denials: Refusal[] };
};

const compiled = (access: readonly AccessPolicy[], mesh: object = {}): InboundPolicy =>
  compileInbound(
    {
      revision: "1",
      mesh: { kind: "Mesh", name: "mesh", ...mesh },
      service: { kind: "Service", name: "reviews" },
      access,
      authentication: [],
    },
    {},
  );

const bench = () => {
  const counters = new ServerCounters();
  return { counters, notes: new AccessNotes(new FakeClock(), counters) };
};

const gateOf = (decide: (question: AccessQuestion) => AccessVerdict): Gate =>
  authorize({ policy: { ...compiled([]), hasAccess: true, decide } }, bench().notes);

describe("the authorize gate", () => {
  test("asks with the identity as policies write it", () => {
    const asked: AccessQuestion[] = [];
    gateOf((question) => {
      asked.push(question);
      return { allowed: true, by: "no allow policy selects the service" };
    })(visit());
    expect(asked).toMatchObject([
      {
        principal: "cluster.local/ns/default/sa/productpage",
        trustDomain: "cluster.local",
        namespace: "default",
        serviceAccount: "productpage",
        address: "10.0.0.1",
        remoteAddress: "10.0.0.1",
        method: "GET",
        path: "/reviews/7",
      },
    ]);
  });

  test("makes a permit that names policy and rule", () => {
    const admitted = visit();
    expect(gateOf(() => ({ allowed: true, by: "Access/default/a rule reads" }))(admitted)).toBeUndefined();
    expect(admitted.permit).toMatchObject({ by: { policy: "Access/default/a", rule: "reads" }, peer: admitted.peer });
  });

  test("names the denying policy, its rule and where it was read from in its refusal", () => {
    const refused = visit();
    const origin = { file: "access.yaml", line: 7 };
    const gate = gateOf(() => ({ allowed: false, policy: "Access/default/no", rule: "0", origin, considered: [] }));
    expect(gate(refused)).toEqual({
      code: "ACCESS_DENIED",
      detail: `Access/default/no rule 0 denies GET /reviews/7 to ${productpage} (access.yaml:7)`,
      policy: "Access/default/no",
      rule: "0",
    });
    expect(refused.permit).toBeUndefined();
  });

  test("names what it looked at when nothing allows", () => {
    const gate = gateOf(() => ({ allowed: false, considered: ["Access/default/a", "Access/default/b"] }));
    expect(gate(visit())).toEqual({
      code: "ACCESS_DENIED",
      detail: `no rule allows GET /reviews/7 to ${productpage}; considered: Access/default/a, Access/default/b`,
    });
  });

  test("finds the first caller's address behind the proxies that are trusted", () => {
    const policy = (address: string): AccessPolicy => ({
      kind: "Access",
      name: "a",
      rules: [{ from: [{ remoteAddresses: [address] }] }],
    });
    const admits = (trustedProxies: number, address: string): boolean =>
      authorize({ policy: compiled([policy(address)], { trustedProxies }) }, bench().notes)(visit()) === undefined;
    expect(admits(0, "10.0.0.1")).toBe(true);
    expect(admits(1, "10.0.0.7")).toBe(true);
    expect(admits(2, "9.9.9.9")).toBe(true);
    expect(admits(3, "10.0.0.1")).toBe(true);
    expect(admits(1, "9.9.9.9")).toBe(false);
  });
});

describe("policies in dry-run", () => {
  const dry: AccessPolicy = {
    kind: "Access",
    name: "reads",
    mode: "dry-run",
    rules: [{ name: "votes", to: [{ paths: ["/votes"] }] }],
  };

  test("refuse nothing, and samples tell who would have been refused what", () => {
    const { counters, notes } = bench();
    const gate = authorize({ policy: compiled([dry]) }, notes);
    expect(gate(visit("/votes"))).toBeUndefined();
    expect(gate(visit("/reviews/7"))).toBeUndefined();
    expect(counters.dryRunFindings).toBe(1);
    expect(notes.samples()).toEqual([
      { atMs: START_MS, outcome: "deny", method: "GET", path: "/reviews/7", source: productpage, address: "10.0.0.1" },
    ]);
  });

  test("name the policy and the rule that would have refused", () => {
    const { notes } = bench();
    authorize({ policy: compiled([{ ...dry, action: "deny" }]) }, notes)(visit("/votes"));
    expect(notes.samples()).toMatchObject([{ outcome: "deny", policy: "Access/default/reads", rule: "votes" }]);
  });

  test("keep no more samples than their bound, the newest first", () => {
    const { counters, notes } = bench();
    const gate = authorize({ policy: compiled([dry]) }, notes);
    for (let at = 0; at < MOST_SAMPLES + 5; at++) gate(visit(`/${at}`));
    expect(counters.dryRunFindings).toBe(MOST_SAMPLES + 5);
    expect(notes.samples()).toHaveLength(MOST_SAMPLES);
    expect(notes.samples()[0]?.path).toBe(`/${MOST_SAMPLES + 4}`);
    expect(notes.samples().at(-1)?.path).toBe("/5");
  });
});

test("audit policies decide nothing and count each policy that fits once", () => {
  const { counters, notes } = bench();
  const audit: AccessPolicy = { kind: "Access", name: "all", action: "audit", rules: [{}, {}] };
  const gate = authorize({ policy: compiled([audit, { ...audit, name: "other" }]) }, notes);
  expect(gate(visit())).toBeUndefined();
  expect(counters.auditedVisits).toBe(2);
});

describe("a permit", () => {
  const permitted = (trusted: boolean) => {
    const admitted = visit();
    admitted.trusted = trusted;
    authorize({ policy: compiled([]) }, bench().notes)(admitted);
    return admitted;
  };

  test("lets a handler go on whose condition holds", () => {
    const admitted = permitted(true);
    expect(admitted.permit?.require(true, "not the owner")).toBeUndefined();
    expect(admitted.denials).toEqual([]);
  });

  test("refuses a visit whose condition does not hold, and tells only peers why", () => {
    const admitted = permitted(true);
    expect(() => admitted.permit?.require(false, "not the owner")).toThrow(
      expect.objectContaining({
        code: "ACCESS_DENIED",
        status: 403,
        statusCode: 403,
        message: "ACCESS_DENIED: not the owner",
      }),
    );
    expect(admitted.denials).toEqual([{ code: "ACCESS_DENIED", detail: "the handler denies it: not the owner" }]);
    expect(() => permitted(false).permit?.require(false, "not the owner")).toThrow(
      expect.objectContaining({ message: "ACCESS_DENIED: Forbidden" }),
    );
  });
});
