import fc from "fast-check";
import { expect, test } from "vitest";
import { RequestWindow } from "./request-window.ts";

const WINDOW_MS = 24_000;

test("counts what happened within the window, to the bucket, whatever the times between", () => {
  const step = fc.record({ waitMs: fc.nat(30_000), accepted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new RequestWindow(WINDOW_MS, 0);
      const seen: { readonly bucket: number; readonly accepted: boolean }[] = [];
      let nowMs = 0;
      for (const { waitMs, accepted } of steps) {
        nowMs += waitMs;
        window.record(accepted, nowMs);
        seen.push({ bucket: Math.floor(nowMs / 1_000), accepted });
      }
      const kept = seen.filter(({ bucket }) => bucket > Math.floor(nowMs / 1_000) - 24);
      expect(window).toMatchObject({
        requests: kept.length,
        accepts: kept.filter(({ accepted }) => accepted).length,
      });
    }),
  );
});

test("forgets all when nothing was counted for a whole window", () => {
  const window = new RequestWindow(WINDOW_MS, 0);
  window.record(true, 0);
  window.forget(WINDOW_MS * 100);
  expect(window).toMatchObject({ requests: 0, accepts: 0 });
});
