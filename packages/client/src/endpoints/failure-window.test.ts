import { expect, test } from "vitest";
import { FailureWindows } from "./failure-window.ts";
import { type Judged, newOutlierRecord } from "./outlier-ejection.ts";

const linkerd = { windowMs: 10_000, threshold: 20, minimumHosts: 1, requestVolume: 5 };

const endpoints = (count: number): Judged[] =>
  Array.from({ length: count }, (_, place) => ({
    endpoint: { id: `e${place}` },
    figures: { outlier: newOutlierRecord() },
  }));

/** What is said of each of these calls, an x for a failure, one every `everyMs`. */
const judged = (calls: string, everyMs = 100, policy = linkerd) => {
  const windows = new FailureWindows(policy);
  const all = endpoints(1);
  return [...calls].map((call, at) => windows.note(all[0]!, call === "x", all, at * everyMs));
};

test("an endpoint fails too much from its share of failures on, once it was called enough", () => {
  expect(judged("xxxx")).toEqual([false, false, false, false]);
  expect(judged("xxxxx").at(-1)).toBe(true);
  expect(judged("....x").at(-1)).toBe(true);
  expect(judged(".....x").at(-1)).toBe(false);
  expect(judged(".......x.x").at(-1)).toBe(true);
});

test("a success is no occasion to judge", () => {
  expect(judged("xxx..")).toEqual([false, false, false, false, false]);
});

test("what is older than the window counts for nothing", () => {
  // One failure in four, but no five calls within 10 s.
  expect(judged("x...x...x", 3_000).includes(true)).toBe(false);
  expect(judged("xx".concat("."), 10_000).includes(true)).toBe(false);
});

test("what was judged is forgotten", () => {
  const windows = new FailureWindows(linkerd);
  const all = endpoints(1);
  const fail = () => windows.note(all[0]!, true, all, 0);
  for (let call = 0; call < 4; call++) fail();
  expect(fail()).toBe(true);
  windows.forget(all[0]!);
  expect(fail()).toBe(false);
});

test("where fewer endpoints than the policy wants were called enough nobody is judged", () => {
  const windows = new FailureWindows({ ...linkerd, minimumHosts: 2 });
  const all = endpoints(3);
  const note = (place: number, failed: boolean, nowMs: number) => windows.note(all[place]!, failed, all, nowMs);
  for (let call = 0; call < 6; call++) expect(note(0, true, 0)).toBe(false);
  for (let call = 0; call < 5; call++) note(1, false, 0);
  expect(note(0, true, 0)).toBe(true);
  // The other one's calls have left the window.
  for (let call = 0; call < 6; call++) expect(note(0, true, 20_000)).toBe(false);
});
