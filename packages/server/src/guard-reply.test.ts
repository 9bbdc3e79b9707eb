import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { provenConnection } from "./connection.ts";
import { guardReply } from "./guard-reply.ts";
import { OpenVisit } from "./visit.ts";

const spiffeId = "spiffe://cluster.local/ns/default/sa/a";

/** Lets a handler answer and gives back the head that would go over the wire, lower case. */
const headOf = (
  answer: (response: ServerResponse) => void,
  draining = false,
  prepare: (visit: OpenVisit) => void = () => undefined,
): string => {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { httpVersionMajor: 1, httpVersionMinor: 1 });
  const response = new ServerResponse(request);
  const visit = new OpenVisit(
    {
      request,
      path: "/",
      startedAtMs: 0,
      listener: { kind: "mesh", draining, closed: false },
      mtls: "strict",
      connection: provenConnection({ remoteAddress: undefined }, spiffeId, { spiffeId }),
    },
    new FakeClock(),
  );
  visit.trusted = true;
  prepare(visit);
  guardReply(response, visit);
  answer(response);
  // The head as Node serialized it; it has no public name, and a socket would only hide it.
  return String((response as unknown as { _header: string })._header).toLowerCase();
};

const forgeries: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["setHeader", (response) => void response.setHeader("Tulle-Refused", "unprocessed").setHeader("x-kept", "1").end()],
  ["appendHeader", (response) => void response.appendHeader("tulle-refused", "a").setHeader("x-kept", "1").end()],
  ["setHeaders", (response) => void response.setHeaders(new Headers({ "tulle-refused": "a", "x-kept": "1" })).end()],
  [
    "writeHead with an object",
    (response) => void response.writeHead(200, { "TULLE-refused": "a", "x-kept": "1" }).end(),
  ],
  [
    "writeHead with a reason",
    (response) => void response.writeHead(200, "Fine", { "tulle-refused": "a", "x-kept": "1" }).end(),
  ],
  [
    "writeHead with a flat list",
    (response) => void response.writeHead(200, ["tulle-refused", "a", "x-kept", "1"]).end(),
  ],
  [
    "writeHead with pairs",
    (response) =>
      void response
        // Node takes pairs; its types do not say so.
        .writeHead(200, [
          ["tulle-refused", "a"],
          ["x-kept", "1"],
        ] as unknown as OutgoingHttpHeaders)
        .end(),
  ],
  [
    "both",
    (response) =>
      void response.setHeader("tulle-drain", "1").writeHead(200, { "tulle-refused": "a", "x-kept": "1" }).end(),
  ],
  [
    "flushHeaders",
    (response) => {
      response.setHeader("tulle-refused", "a").setHeader("x-kept", "1");
      response.flushHeaders();
    },
  ],
  [
    "write",
    (response) => {
      response.setHeader("tulle-refused", "a").setHeader("x-kept", "1");
      response.write("body");
    },
  ],
];

describe.each([false, true])("while draining is %s", (draining) => {
  test.each(forgeries)("a handler's tulle- headers, set by %s, do not leave", (_way, answer) => {
    const head = headOf(answer, draining);
    expect(head).toContain("x-kept: 1\r\n");
    expect(head).not.toContain("tulle-refused");
    expect(head.includes("tulle-drain: 1\r\n")).toBe(draining);
    expect(head.includes("connection: close\r\n")).toBe(draining);
  });
});

test("a draining listener's replies keep repeated fields", () => {
  const head = headOf(
    (response) =>
      void response.writeHead(200, ["set-cookie", "a=1", "set-cookie", "b=2", "connection", "keep-alive"]).end(),
    true,
  );
  expect(head).toContain("set-cookie: a=1\r\n");
  expect(head).toContain("set-cookie: b=2\r\n");
  expect(head).not.toContain("keep-alive");
});

test("the handler's own header object stays as it was", () => {
  const headers = { "tulle-refused": "a" };
  headOf((response) => void response.writeHead(200, headers).end());
  expect(headers).toEqual({ "tulle-refused": "a" });
});

describe("a visit that made a call which was retried in vain", () => {
  const told = "tulle-retried: 1";
  const inVain = (visit: OpenVisit) => visit.noteRetriedInVain();

  test("tells its caller so with an error of its own", () => {
    expect(headOf((response) => void response.writeHead(502).end(), false, inVain)).toContain(told);
    expect(headOf((response) => void response.writeHead(500, ["x-kept", "1"]).end(), false, inVain)).toContain(told);
    expect(headOf((response) => void response.writeHead(502).end())).not.toContain("tulle-retried");
  });

  test("says nothing when it answers well, nor to strangers", () => {
    expect(headOf((response) => void response.writeHead(200).end(), false, inVain)).not.toContain("tulle-retried");
    const stranger = (visit: OpenVisit) => {
      visit.noteRetriedInVain();
      visit.trusted = false;
    };
    expect(headOf((response) => void response.writeHead(502).end(), false, stranger)).not.toContain("tulle-retried");
  });

  test("tells a draining listener's caller both", () => {
    const head = headOf((response) => void response.writeHead(503).end(), true, inVain);
    for (const each of [told, "tulle-drain: 1", "connection: close"]) expect(head).toContain(each);
  });
});

test("the caller's deadline is kept once the headers are on their way", () => {
  let visited: OpenVisit | undefined;
  headOf(
    (response) => void response.writeHead(200).end(),
    false,
    (visit) => {
      visit.deadlineMs = 500;
      visited = visit;
    },
  );
  expect(visited?.deadlineMs).toBeUndefined();
});
