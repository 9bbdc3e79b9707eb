import { HELLO_TIMEOUT_MS, type Hello, MAX_MEMBER_MESSAGE_BYTES, type MemberMessage } from "@tulle/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PushFixture } from "./push-fixture.ts";
import { helloOf, type ScriptedMember } from "./scripted-member.ts";

const hello = (more: Partial<Hello> = {}): string => JSON.stringify(helloOf("m1", more));
const say = (message: MemberMessage): string => JSON.stringify(message);
const reviews = { id: "m1", namespace: "default", service: "reviews", labels: {} };

/** What a member says, from the connection on; the refusal's code and message; how the connection is closed. */
const table: readonly (readonly [string, readonly (string | Buffer)[], string, string | RegExp, number])[] = [
  ["no JSON", ["hello"], "bad-json", "a message that is not JSON", 1002],
  ["an empty message", [""], "bad-json", "a message that is not JSON", 1002],
  ["JSON that is no object", ["[]"], "bad-message", "message: expected an object, got a list of 0", 1002],
  ["no type", ["{}"], "bad-message", "type: expected a string, got nothing", 1002],
  [
    "an unknown type",
    ['{"type":"howdy"}'],
    "unknown-type",
    /^no message has the type "howdy"; known are hello, /,
    1002,
  ],
  ["a type of the server", ['{"type":"welcome"}'], "unknown-type", /^no message has the type "welcome"/, 1002],
  ["a type of every object", ['{"type":"constructor"}'], "unknown-type", /"constructor"/, 1002],
  ["a binary frame", [Buffer.from(hello())], "binary-frame", "a binary frame; every message is text", 1003],
  [
    "a message that is too large",
    [JSON.stringify({ type: "hello", pad: "x".repeat(MAX_MEMBER_MESSAGE_BYTES) })],
    "too-large",
    /at most 1048576 are allowed$/,
    1009,
  ],
  ["another message before hello", [say({ type: "goodbye" })], "wrong-order", "goodbye before hello", 1002],
  ["a second hello", [hello(), hello()], "wrong-order", "a second hello", 1002],
  [
    "a hello without a member",
    ['{"type":"hello"}'],
    "bad-message",
    /^hello\.protocol: expected an object, got nothing$/,
    1002,
  ],
  [
    "a member id with a space",
    [hello({ member: { ...reviews, id: "a b" } })],
    "bad-message",
    /^hello\.member\.id: expected .*, got "a b"$/,
    1002,
  ],
  [
    "a protocol that is too new",
    [hello({ protocol: { min: 90, max: 99 } })],
    "protocol-version",
    "the member speaks versions 90 to 99, the config-server 1 to 1: upgrade the config-server",
    1008,
  ],
  [
    "another namespace than the identity's",
    [hello({ member: { ...reviews, namespace: "prod" } })],
    "identity-mismatch",
    "spiffe://cluster.local/ns/default/sa/reviews is no identity of namespace prod, which the hello names",
    1008,
  ],
  [
    "an ack of nothing",
    [hello(), say({ type: "ack", stream: "policy", revision: "x.9" })],
    "wrong-order",
    /^answer to x\.9 on policy, where \w+\.0 is open$/,
    1002,
  ],
  [
    "a nack of an unknown stream",
    [hello(), '{"type":"nack","stream":"secrets","revision":"x.1","reason":""}'],
    "bad-message",
    'nack.stream: expected one of policy, endpoints, trust, got "secrets"',
    1002,
  ],
  [
    "a nack whose reason is too long",
    [hello(), say({ type: "nack", stream: "policy", revision: "x.1", reason: "x".repeat(2_001) })],
    "bad-message",
    "nack.reason: expected a string of 0 to 2000 characters, got a string of 2001 characters",
    1002,
  ],
  [
    "an endpoint on port 0",
    [
      hello(),
      say({
        type: "register",
        id: 1,
        service: "default/reviews",
        endpoint: { id: "m1", address: "10.0.0.1", port: 0, transport: "mtls", labels: {} },
      }),
    ],
    "bad-message",
    "register.endpoint.port: expected a whole number from 1 to 65535, got 0",
    1002,
  ],
  [
    "an unknown transport",
    [
      hello(),
      '{"type":"register","id":1,"service":"default/reviews","endpoint":{"id":"m1","address":"10.0.0.1","port":1,"transport":"quic","labels":{}}}',
    ],
    "bad-message",
    'register.endpoint.transport: expected one of mtls, plaintext, tls, got "quic"',
    1002,
  ],
  [
    "a subscription to no service",
    [hello(), '{"type":"subscribe","add":["reviews"],"remove":[]}'],
    "bad-message",
    'subscribe.add[0]: expected namespace/name, got "reviews"',
    1002,
  ],
  [
    "a CSR that is too long",
    [hello(), say({ type: "certificate-request", id: 1, csr: "x".repeat(8_193) })],
    "bad-message",
    /^certificate-request\.csr: expected a string of 1 to 8192 characters/,
    1002,
  ],
];

describe("a member is refused, in words and by the closing code, for", () => {
  let fixture: PushFixture;
  let member: ScriptedMember;

  beforeEach(async () => {
    fixture = await new PushFixture().open();
    member = await fixture.connect();
  });
  afterEach(() => fixture.close());

  it.each(table)("%s", async (_, messages, code, message, closeCode) => {
    for (const each of messages) member.socket.send(each);
    const refused = await member.next("refused");
    expect(refused.code).toBe(code);
    expect(refused.id).toBeUndefined();
    expect(refused.message).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect(await member.closed).toEqual({ code: closeCode, reason: code });
    expect(fixture.push.counters()[`refused.${code}`]).toBe(1);
    expect(fixture.push.members.list().filter(({ connected }) => connected)).toEqual([]);
    expect(fixture.failures).toEqual([]);
  });

  it("silence instead of a hello", async () => {
    await expect.poll(() => fixture.push.counters().connected).toBe(1);
    await fixture.clock.advanceAsync(HELLO_TIMEOUT_MS);
    expect(await member.next("refused")).toMatchObject({ code: "hello-timeout" });
    expect(await member.closed).toEqual({ code: 1008, reason: "hello-timeout" });
  });

  it("a message far too large, by the closing code alone", async () => {
    member.socket.send("x".repeat(2 * MAX_MEMBER_MESSAGE_BYTES));
    expect((await member.closed).code).toBe(1009);
    expect(fixture.push.counters()["refused.too-large"]).toBe(1);
  });

  it("nothing that it says after it was refused", async () => {
    member.socket.send("{");
    member.socket.send(hello());
    expect((await member.closed).code).toBe(1002);
    expect(member.unread.map(({ type }) => type)).toEqual(["refused"]);
  });
});
