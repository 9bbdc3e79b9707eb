import { once } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import {
  bodyState,
  discardBody,
  isWholeBody,
  prepareBody,
  REPLAY_BOUND_BYTES,
  releaseBody,
  rewindBody,
} from "./replay-body.ts";

type Chunks = AsyncIterable<Buffer>;

const readerOf = (body: unknown): AsyncIterator<Buffer> => (body as Chunks)[Symbol.asyncIterator]();

const textOf = async (body: unknown): Promise<string> => {
  let text = "";
  for await (const chunk of body as Chunks) text += chunk.toString();
  return text;
};

/** A source that yields what it is told, and tells what becomes of it. */
const sourceOf = (...chunks: string[]) => {
  const seen = { read: 0, returned: false };
  const source = (async function* () {
    try {
      for (const chunk of chunks) {
        seen.read++;
        yield Buffer.from(chunk);
      }
    } finally {
      seen.returned = true;
    }
  })();
  const counters = { bodiesBeyondReplay: 0 };
  const { body, replayable } = prepareBody(source as never, counters);
  return { body, replayable, seen, counters, state: () => bodyState(body, replayable) };
};

const large = "x".repeat(REPLAY_BOUND_BYTES);

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

  test("what lies in memory is handed on as it is", () => {
    const bytes = Buffer.alloc(10);
    expect(prepareBody(bytes).body).toBe(bytes);
  });
});

describe("a stream", () => {
  test("is not read before an attempt asks, and then one chunk at a time", async () => {
    const { body, seen } = sourceOf("a", "b", "c");
    expect(seen.read).toBe(0);
    const reader = readerOf(body);
    await reader.next();
    expect(seen.read).toBe(1);
  });

  test("is found whole by each attempt, wherever the one before it stopped", async () => {
    const { body, state } = sourceOf("a", "b", "c");
    const first = readerOf(body);
    await first.next();
    await first.next();
    await first.return?.();
    expect(state()).toBe("kept");
    rewindBody(body);
    expect(await textOf(body)).toBe("abc");
    rewindBody(body);
    expect(await textOf(body)).toBe("abc");
  });

  test("is never read by two attempts at once: the first one's reading fails, and its chunk goes to the second", async () => {
    let give: ((chunk: Buffer) => void) | undefined;
    const source = (async function* () {
      yield await new Promise<Buffer>((resolve) => {
        give = resolve;
      });
      yield Buffer.from("b");
    })();
    const { body } = prepareBody(source as never);
    const first = readerOf(body);
    const pending = first.next();
    await Promise.resolve();
    rewindBody(body);
    const second = textOf(body);
    give?.(Buffer.from("a"));
    await expect(pending).rejects.toThrow("another attempt");
    expect(await second).toBe("ab");
    await expect(first.next()).rejects.toThrow("another attempt");
  });

  test("may be read by several attempts once all of it is kept", async () => {
    const { body, replayable } = sourceOf("a", "b");
    const first = readerOf(body);
    await first.next();
    expect(isWholeBody(body, replayable)).toBe(false);
    await first.next();
    expect((await first.next()).done).toBe(true);
    expect(isWholeBody(body, replayable)).toBe(true);
    const [one, other] = [readerOf(body), readerOf(body)];
    await other.next();
    expect((await one.next()).value?.toString()).toBe("a");
    expect((await other.next()).value?.toString()).toBe("b");
  });

  test("is kept up to the bound and no further: then it is sent once, and counted", async () => {
    const { body, state, counters } = sourceOf(large, "y", "z");
    const reader = readerOf(body);
    await reader.next();
    expect([state(), counters.bodiesBeyondReplay]).toEqual(["kept", 0]);
    await reader.next();
    expect([state(), counters.bodiesBeyondReplay]).toEqual(["spent", 1]);
    expect((await reader.next()).value?.toString()).toBe("z");
    expect((await reader.next()).done).toBe(true);
    await expect(textOf(body)).rejects.toThrow("not kept any longer");
  });

  test("that grows beyond the bound while nobody reads is still whole for the attempt after", async () => {
    const { body, state } = sourceOf(large, "y", "z");
    const first = readerOf(body);
    await first.next();
    const pending = first.next();
    rewindBody(body);
    await expect(pending).rejects.toThrow("another attempt");
    expect((await textOf(body)).length).toBe(REPLAY_BOUND_BYTES + 2);
    expect(state()).toBe("spent");
  });

  test("that fails fails its attempt with its own error, and is not sent again", async () => {
    const source = Readable.from(
      (async function* () {
        yield Buffer.from("a");
        throw new Error("the disk is gone");
      })(),
    );
    const { body, replayable } = prepareBody(source);
    await expect(textOf(body)).rejects.toThrow("the disk is gone");
    expect(bodyState(body, replayable)).toBe("spent");
  });

  test("goes on being sent after the reply came, and is given up when its attempt ends early", async () => {
    const { body, seen } = sourceOf("a", "b", "c");
    const reader = readerOf(body);
    await reader.next();
    releaseBody(body);
    expect((await reader.next()).value?.toString()).toBe("b");
    await reader.return?.();
    await Promise.resolve();
    expect([seen.read, seen.returned]).toEqual([2, true]);
  });

  test("that nobody read is given up with its call", () => {
    const source = Readable.from(["x"]);
    discardBody(prepareBody(source).body, new Error("over"));
    expect(source.destroyed).toBe(true);
  });

  test("that an attempt has begun to read is given up with its call too", async () => {
    const source = new Readable({ read: () => undefined });
    source.push("a");
    const { body } = prepareBody(source);
    const reader = readerOf(body);
    await reader.next();
    const pending = reader.next();
    discardBody(body, new Error("over"));
    await expect(pending).rejects.toThrow();
    if (!source.closed) await once(source, "close");
    expect(source.destroyed).toBe(true);
  });
});
