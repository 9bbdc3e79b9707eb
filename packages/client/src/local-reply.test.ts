import { expect, test } from "vitest";
import { LocalReply } from "./local-reply.ts";
import type { ReplySink } from "./reply.ts";

/** Remembers what it was told; takes `room` chunks before it asks for a pause. */
class Listener implements ReplySink {
  readonly told: string[] = [];
  readonly #takes: boolean;

  constructor(takes = true) {
    this.#takes = takes;
  }

  data(chunk: Buffer): boolean {
    this.told.push(chunk.toString());
    return this.#takes;
  }

  end(): void {
    this.told.push("end");
  }

  error({ message }: Error): void {
    this.told.push(`error ${message}`);
  }
}

const reply = (status: number, method = "GET", text = "hello"): LocalReply =>
  new LocalReply({ method, status, headers: ["X-A", "1", "x-a", "2"], body: Buffer.from(text) });

test("headers come in both forms, with the body's length", () => {
  const { rawHeaders, headers, statusText } = reply(200);
  expect(rawHeaders).toEqual(["X-A", "1", "x-a", "2", "content-length", "5"]);
  expect(headers).toEqual({ "x-a": ["1", "2"], "content-length": "5" });
  expect(statusText).toBe("OK");
});

test.each<[number, string, readonly string[], boolean]>([
  [200, "GET", ["hello", "end"], true],
  [200, "HEAD", ["end"], true],
  [204, "GET", ["end"], false],
  [304, "GET", ["end"], false],
])("%i to %s gives %j, length told: %s", (status, method, told, length) => {
  const sink = new Listener();
  const each = reply(status, method);
  each.take(sink);
  expect(sink.told).toEqual(told);
  expect(each.rawHeaders.includes("content-length")).toBe(length);
});

test("a reader that asks for a pause hears of the end when it goes on", () => {
  const sink = new Listener(false);
  const flow = reply(200).take(sink);
  expect(sink.told).toEqual(["hello"]);
  flow.resume();
  expect(sink.told).toEqual(["hello", "end"]);
  flow.resume();
  expect(sink.told).toHaveLength(2);
});

test("a reader that gives up hears of that, and of nothing more", () => {
  const sink = new Listener(false);
  const flow = reply(200).take(sink);
  flow.abort(new Error("enough"));
  flow.resume();
  expect(sink.told).toEqual(["hello", "error enough"]);
});

test("it is over when it is made, and its body is taken once", () => {
  const each = reply(200);
  let over = false;
  each.onDone(() => {
    over = true;
  });
  expect(over).toBe(true);
  each.discard();
  expect(() => each.take(new Listener())).toThrow("taken or discarded");
});
