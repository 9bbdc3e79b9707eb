import type { AccessVerdict } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { provenConnection } from "../connection.ts";
import type { Visit } from "../gate.ts";
import { authorize } from "./authorize.ts";

const productpage = "spiffe://cluster.local/ns/default/sa/productpage";

const visit = (): Visit =>
  // The gate reads these fields and no others.
  ({
    method: "GET",
    path: "/reviews/7",
    peer: provenConnection({ remoteAddress: "10.0.0.1" }, productpage, { spiffeId: productpage }).peer,
  }) as unknown as Visit;

const policy = (decide: (question: unknown) => AccessVerdict) => ({
  policy: {
    revision: "1",
    mtls: { mode: "strict" as const, ports: new Map() },
    trustDomain: "cluster.local",
    aliases: [],
    jwt: [],
    hasAccess: true,
    decide,
  },
});

describe("the authorize gate", () => {
  test("asks with the identity as policies write it", () => {
    const asked: unknown[] = [];
    authorize(
      policy((question) => {
        asked.push(question);
        return { allowed: true, by: "no allow policy selects the service" };
      }),
    )(visit());
    expect(asked).toEqual([
      {
        principal: "cluster.local/ns/default/sa/productpage",
        namespace: "default",
        method: "GET",
        path: "/reviews/7",
      },
    ]);
  });

  test("makes a permit that names policy and rule", () => {
    const admitted = visit();
    expect(authorize(policy(() => ({ allowed: true, by: "Access/default/a rule reads" })))(admitted)).toBeUndefined();
    expect(admitted.permit).toEqual({ by: { policy: "Access/default/a", rule: "reads" }, peer: admitted.peer });
  });

  test("names the denying policy and rule in its refusal", () => {
    const refused = visit();
    const gate = authorize(
      policy(() => ({ allowed: false, policy: "Access/default/no", rule: "0", considered: ["Access/default/no"] })),
    );
    expect(gate(refused)).toEqual({
      code: "ACCESS_DENIED",
      detail: `Access/default/no rule 0 denies GET /reviews/7 to ${productpage}`,
      policy: "Access/default/no",
      rule: "0",
    });
    expect(refused.permit).toBeUndefined();
  });

  test("names what it looked at when nothing allows", () => {
    const gate = authorize(policy(() => ({ allowed: false, considered: ["Access/default/a", "Access/default/b"] })));
    expect(gate(visit())).toEqual({
      code: "ACCESS_DENIED",
      detail: `no rule allows GET /reviews/7 to ${productpage}; considered: Access/default/a, Access/default/b`,
    });
  });
});
