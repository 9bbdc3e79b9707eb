import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { discardBody, prepareBody, REPLAY_BOUND_BYTES, wasTouched } from "./replay-body.ts";

describe("prepareBody", () => {
  test.each([
    ["no body", null, true],
    ["a short string", "text", true],
    ["a string at the bound", "x".repeat(REPLAY_BOUND_BYTES), true],
    ["a string over the bound", "x".repeat(REPLAY_BOUND_BYTES + 1), false],
    ["a string over the bound in UTF-8 alone", "ü".repeat(REPLAY_BOUND_BYTES - 1), false],
    ["bytes at the bound", Buffer.alloc(REPLAY_BOUND_BYTES), true],
    ["bytes over the bound", Buffer.alloc(REPLAY_BOUND_BYTES + 1), false],
    ["a stream", Readable.from(["x"]), false],
  ])("%s", (_name, body, replayable) => expect(prepareBody(body).replayable).toBe(replayable));

  test("a stream is touched when it is read, and not before", async () => {
    const { body } = prepareBody(Readable.from([Buffer.from("x")]));
    expect(wasTouched(body)).toBe(false);
    const read: string[] = [];
    for await (const chunk of body as unknown as AsyncIterable<Buffer>) read.push(chunk.toString());
    expect(read).toEqual(["x"]);
    expect(wasTouched(body)).toBe(true);
  });

  test("a stream that nobody read is given up with its call", () => {
    const source = Readable.from(["x"]);
    discardBody(prepareBody(source).body, new Error("over"));
    expect(source.destroyed).toBe(true);
  });
});
