import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { releaseReply, settleBeforeReply } from "../src/route-templates/settle-before-reply.ts";

const answerOf = async (
  handle: (response: ServerResponse) => void,
  settle: (response: ServerResponse) => boolean,
): Promise<{ status: number; body: string; header: string | null }> => {
  const server = createServer((_request, response) => {
    settleBeforeReply(response, () => settle(response));
    handle(response);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return { status: answer.status, body: await answer.text(), header: answer.headers.get("x-own") };
};

const refuse = (response: ServerResponse): boolean => {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(403).end("no");
  return false;
};

const ways: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["end", (response) => response.setHeader("x-own", "1").end("secret")],
  [
    "write",
    (response) => {
      response.setHeader("x-own", "1").write("sec");
      response.end("ret");
    },
  ],
  ["writeHead", (response) => response.writeHead(200, { "x-own": "1" }).end("secret")],
  [
    "flushHeaders",
    (response) => {
      response.setHeader("x-own", "1").flushHeaders();
      response.end("secret");
    },
  ],
];

describe.each(ways)("an answer that begins with %s", (_, handle) => {
  test("goes out whole when it may", async () => {
    let asked = 0;
    const answer = await answerOf(handle, () => {
      asked++;
      return true;
    });
    expect(answer).toEqual({ status: 200, body: "secret", header: "1" });
    expect(asked).toBe(1);
  });

  test("is replaced by the refusal when it may not, and nothing of it leaks", async () => {
    let asked = 0;
    const answer = await answerOf(handle, (response) => {
      asked++;
      return refuse(response);
    });
    expect(answer).toEqual({ status: 403, body: "no", header: null });
    expect(asked).toBe(1);
  });

  test("is not asked about once it was released", async () => {
    const answer = await answerOf(
      (response) => {
        releaseReply(response);
        handle(response);
      },
      () => {
        throw new Error("asked");
      },
    );
    expect(answer).toEqual({ status: 200, body: "secret", header: "1" });
  });
});

test("a handler that goes on writing for long after the refusal does no harm", async () => {
  const answer = await answerOf((response) => {
    response.end("secret");
    setImmediate(() => {
      response.write("more");
      response.writeHead(200);
      response.end();
    });
  }, refuse);
  expect(answer).toMatchObject({ status: 403, body: "no" });
});
