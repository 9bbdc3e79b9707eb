import fc from "fast-check";
import { expect, test } from "vitest";
import { healthQuestion, readHealthAnswer } from "./grpc-health.ts";

const framed = (...message: number[]): Buffer => Buffer.from([0, 0, 0, 0, message.length, ...message]);

test("the question for the whole server is an empty message", () => {
  expect([...healthQuestion("")]).toEqual([0, 0, 0, 0, 0]);
});

test("the question for a service holds its name", () => {
  expect([...healthQuestion("ab")]).toEqual([0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
  const long = healthQuestion("x".repeat(300));
  expect([...long.subarray(0, 8)]).toEqual([0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
});

test.each([
  ["SERVING", framed(8, 1)],
  ["NOT_SERVING", framed(8, 2)],
  ["SERVICE_UNKNOWN", framed(8, 3)],
  ["UNKNOWN", framed()],
  ["UNKNOWN", framed(8, 0)],
  ["SERVING", framed(0x12, 1, 0x61, 8, 1)],
  ["SERVING", framed(8, 1, 0x20, 0x96, 1)],
  ["SERVING", framed(0x15, 1, 2, 3, 4, 8, 1)],
])("%s is read", (status, answer) => {
  expect(readHealthAnswer(answer)).toBe(status);
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["a frame that is cut off", framed(8, 1).subarray(0, 6)],
  ["more than one frame", Buffer.concat([framed(8, 1), framed(8, 1)])],
  ["a compressed message", Buffer.from([1, 0, 0, 0, 2, 8, 1])],
  ["a status that nobody knows", framed(8, 9)],
  ["a field that is cut off", framed(0x12, 9, 0x61)],
  ["a number without an end", framed(8, 0x80)],
])("%s is no answer", (_, answer) => {
  expect(readHealthAnswer(answer)).toBeUndefined();
});

test("whatever the bytes are, reading ends and throws nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (message) => {
      readHealthAnswer(Buffer.from(message));
      readHealthAnswer(framed(...message));
    }),
  );
});
