import { expect, test } from "vitest";
import { takeControlHeaders, withoutControlHeaders } from "./control-headers.ts";

test("takes out the mesh's own headers in any case, and nothing else", () => {
  const raw = ["Tulle-Drain", "1", "X-A", "tulle-drain", "TULLE-REFUSED", "unprocessed", "x-b", "2"].map((each) =>
    Buffer.from(each),
  );
  expect(withoutControlHeaders(raw, false).map(String)).toEqual(["X-A", "tulle-drain", "x-b", "2"]);
});

test("a load report is the mesh's own where a verified peer wrote it, and the application's where another did", () => {
  const raw = ["Endpoint-Load-Metrics", "TEXT eps=1", "X-A", "1"].map((each) => Buffer.from(each));
  expect(withoutControlHeaders(raw, true).map(String)).toEqual(["X-A", "1"]);
  expect(withoutControlHeaders(raw, false).length).toBe(4);
  const ofPeer = { "endpoint-load-metrics": "TEXT eps=1", "x-a": "1" };
  expect(takeControlHeaders(ofPeer, true)?.load).toBe("TEXT eps=1");
  expect(ofPeer).toEqual({ "x-a": "1" });
  const ofStranger = { "endpoint-load-metrics": "TEXT eps=1" };
  expect(takeControlHeaders(ofStranger, false)).toBeUndefined();
  expect(ofStranger).toEqual({ "endpoint-load-metrics": "TEXT eps=1" });
});

test("that it is degraded is for a verified peer to say to the mesh, and for another to say to the application", () => {
  const ofPeer = { "x-envoy-degraded": "30", "x-a": "1" };
  expect(takeControlHeaders(ofPeer, true)?.degraded).toBe("30");
  expect(ofPeer).toEqual({ "x-a": "1" });
  const ofStranger = { "x-envoy-degraded": "30", "tulle-drain": "1" };
  expect(takeControlHeaders(ofStranger, false)?.degraded).toBeUndefined();
  expect(ofStranger).toEqual({ "x-envoy-degraded": "30" });
});
