import { describe, expect, test } from "vitest";
import { CallCancellation } from "./cancellation.ts";

describe("CallCancellation", () => {
  test("tells each listener once, in order, with the first reason", () => {
    const cancel = new CallCancellation();
    const heard: unknown[] = [];
    for (const name of ["first", "second", "third"]) cancel.onCancel((reason) => heard.push([name, reason]));
    cancel.cancel("enough");
    cancel.cancel("again");
    expect(heard).toEqual([
      ["first", "enough"],
      ["second", "enough"],
      ["third", "enough"],
    ]);
    expect(cancel.listening).toBe(0);
  });

  test("tells whoever comes late at once", () => {
    const cancel = new CallCancellation();
    cancel.cancel("enough");
    const heard: unknown[] = [];
    cancel.onCancel((reason) => heard.push(reason));
    expect(heard).toEqual(["enough"]);
  });

  test("forgets those that stop listening", () => {
    const cancel = new CallCancellation();
    const stops = [1, 2, 3].map(() => cancel.onCancel(() => expect.unreachable()));
    expect(cancel.listening).toBe(3);
    for (const stop of stops) stop();
    expect(cancel.listening).toBe(0);
    cancel.cancel("enough");
  });
});
