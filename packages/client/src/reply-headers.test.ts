import { expect, test } from "vitest";
import { ScriptedReply } from "../test/scripted.ts";
import { LocalReply } from "./local-reply.ts";
import { withHeaders } from "./reply-headers.ts";

const wire = ["Set-Cookie", "a=1", "X-Old", "\xe4", "set-cookie", "b=2"];

test("both forms are made of the changed list, and the reply itself stays what it was", () => {
  const reply = new LocalReply({ method: "GET", status: 304, headers: wire });
  const changed = withHeaders(reply, (headers) => [...headers.slice(0, 2), ...headers.slice(4), "X-New", "1"]);
  expect(changed.rawHeaders).toEqual(["Set-Cookie", "a=1", "set-cookie", "b=2", "X-New", "1"]);
  expect(changed.headers).toEqual({ "set-cookie": ["a=1", "b=2"], "x-new": "1" });
  expect(changed).toMatchObject({ status: 304, statusText: "Not Modified" });
  expect(reply.rawHeaders).toEqual(wire);
});

test("a list of buffers stays one, byte by byte", () => {
  const rawHeaders = wire.map((each) => Buffer.from(each, "latin1"));
  const reply = Object.assign(new ScriptedReply(200), { rawHeaders });
  const changed = withHeaders(reply, (headers) => [...headers, "x-new", "\xfc"]);
  expect(changed.rawHeaders).toEqual([...rawHeaders, Buffer.from("x-new"), Buffer.from([0xfc])]);
  expect(changed.headers["x-old"]).toBe("\xe4");
});

test("what becomes of the body is the reply's own matter", () => {
  const reply = new ScriptedReply(200);
  const changed = withHeaders(reply, (headers) => headers);
  let told: Error | undefined;
  changed.onDone((error) => {
    told = error;
  });
  reply.finish(new Error("broken"));
  expect(told?.message).toBe("broken");
  changed.discard();
  expect(reply.discarded).toBe(true);
});
