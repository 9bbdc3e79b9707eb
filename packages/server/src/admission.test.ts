import { FakeClock } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, test } from "vitest";
import { AccessNotes } from "./access-notes.ts";
import { admit, gatesFor } from "./admission.ts";
import { ServerCounters } from "./counters.ts";
import { ExternalAuthorizers } from "./external-authorizers.ts";
import type { Gate, Visit } from "./gate.ts";
import { CurrentInbound } from "./inbound-policy.ts";

test("the first gate that refuses is the last that is asked", () => {
  const asked: string[] = [];
  const gate =
    (name: string, refuses: boolean): Gate =>
    () => {
      asked.push(name);
      return refuses ? { code: "ACCESS_DENIED", detail: name } : undefined;
    };
  // No gate of this test looks at the visit.
  const refusal = admit([gate("a", false), gate("b", true), gate("c", false)], {} as Visit);
  expect(refusal).toEqual({ code: "ACCESS_DENIED", detail: "b" });
  expect(asked).toEqual(["a", "b"]);
});

test("a gate that breaks has admitted nobody, whether it answers at once or later", async () => {
  const breaks: Gate = () => {
    throw new TypeError("no such thing");
  };
  const later: Gate = () => Promise.resolve(undefined);
  const refusal = { code: "NOT_READY", detail: "a gate failed: no such thing" };
  expect(admit([breaks], {} as Visit)).toEqual(refusal);
  expect(await admit([later, breaks], { open: true } as Visit)).toEqual(refusal);
});

test("without an inbound policy no gate below readiness is asked", () => {
  const current = new CurrentInbound(constant(undefined), {});
  const clock = new FakeClock();
  const counters = new ServerCounters();
  const gates = gatesFor({
    current,
    clock,
    counters,
    tokens: { authenticate: () => undefined, ownHeaders: new Set() },
    touchHeaders: false,
    notes: new AccessNotes(clock, counters),
    authorizers: new ExternalAuthorizers(clock, counters, undefined),
  });
  // Neither socket nor headers say anything.
  const visit = { request: { socket: {}, headers: {} }, mtls: "strict", listener: "mesh" } as unknown as Visit;
  expect(admit(gates, visit)).toMatchObject({ code: "NOT_READY" });
  expect(visit.permit).toBeUndefined();
});
