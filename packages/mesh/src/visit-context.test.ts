import { ROOT_CONTEXT } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { VisitContext } from "./visit-context.ts";

test("a call inherits from the visit that it is made in, and from no other", async () => {
  const context = new VisitContext();
  const seen = await Promise.all(
    [100, 200, 300].map((deadlineMs) =>
      context.enter({ deadlineMs, context: ROOT_CONTEXT, open: true }, async () => {
        await Promise.resolve();
        return context.inherited()?.deadlineMs;
      }),
    ),
  );
  expect(seen).toEqual([100, 200, 300]);
});

test("nothing is inherited outside a visit", () => {
  expect(new VisitContext().inherited()).toBeUndefined();
});

test("a timer made inside a visit inherits nothing once the visit is over", async () => {
  const context = new VisitContext();
  const visit = { deadlineMs: 100, context: undefined, open: true };
  let late: () => unknown = () => "never bound";
  context.enter(visit, () => {
    const bound = setImmediate.bind(undefined);
    late = () => new Promise((resolve) => bound(() => resolve(context.inherited())));
  });
  const during = await context.enter(visit, () => late());
  visit.open = false;
  const after = await context.enter(visit, () => late());
  expect(during).toBe(visit);
  expect(after).toBeUndefined();
});
