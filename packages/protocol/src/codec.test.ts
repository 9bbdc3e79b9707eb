import { describe, expect, test } from "vitest";
import { decodeMemberMessage, decodeServerMessage, encodeMessage } from "./codec.ts";
import { MAX_MEMBER_MESSAGE_BYTES, MAX_PART_BYTES } from "./limits.ts";
import type { Hello, MemberMessage, ServerMessage } from "./member-messages.ts";
import { ProtocolError } from "./protocol-error.ts";

const hello: Hello = {
  type: "hello",
  protocol: { min: 1, max: 1 },
  features: ["gzip"],
  software: "tulle/0.1.0",
  member: { id: "reviews-v1-0", namespace: "default", service: "reviews", labels: { version: "v1" } },
  held: { policy: { revision: "e.3", seen: "e.4", resources: { mesh: "v" } } },
  subscriptions: ["default/ratings"],
};

const memberMessages: readonly MemberMessage[] = [
  hello,
  { type: "subscribe", add: ["default/ratings"], remove: [] },
  { type: "ack", stream: "policy", revision: "e.3" },
  { type: "nack", stream: "trust", revision: "e.3", reason: "no", resource: "bundle/cluster.local" },
  {
    type: "register",
    id: 1,
    service: "default/reviews",
    endpoint: { id: "reviews-v1-0", address: "fe80::1%eth0", port: 9080, transport: "mtls", labels: {}, weight: 2 },
  },
  { type: "withdraw", id: 2, service: "default/reviews", endpointId: "reviews-v1-0", state: "draining" },
  {
    type: "plaintext-callers",
    callers: [{ address: "10.0.0.7", userAgent: "curl/8", transport: "plaintext", requests: 2, lastSeenAgoMs: 40 }],
  },
  { type: "certificate-request", id: 3, csr: "-----BEGIN CERTIFICATE REQUEST-----" },
  { type: "goodbye" },
];

const serverMessages: readonly ServerMessage[] = [
  {
    type: "welcome",
    protocol: 1,
    features: [],
    software: "tulle/0.1.0",
    spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
    pingIntervalMs: 15_000,
    wallClockMs: 1_700_000_000_000,
  },
  { type: "begin", stream: "policy", revision: "e.3", full: true },
  {
    type: "part",
    stream: "policy",
    revision: "e.3",
    index: 0,
    upserts: [
      { name: "names/-", version: "v", value: { names: [] } },
      { name: "mesh", version: "v", gzip: "H4sI" },
    ],
    removals: ["service/default/old"],
  },
  { type: "commit", stream: "policy", revision: "e.3", parts: 1 },
  { type: "done", id: 1 },
  { type: "certificate", id: 3, chain: "-----BEGIN CERTIFICATE-----" },
  { type: "refused", id: 3, code: "csr-key", message: "the key is not P-256" },
  { type: "renew" },
  { type: "goodbye", reason: "restart", retryAfterMs: 100 },
];

describe("every message reads back as it was written", () => {
  test.each(memberMessages)("member: $type", (message) => {
    expect(decodeMemberMessage(encodeMessage(message))).toEqual(message);
  });

  test.each(serverMessages)("config-server: $type", (message) => {
    expect(decodeServerMessage(encodeMessage(message))).toEqual(message);
  });
});

test("fields of a newer peer are dropped", () => {
  const newer = { ...hello, mood: "fine", member: { ...hello.member, shoeSize: 43 } };
  expect(decodeMemberMessage(JSON.stringify(newer))).toEqual(hello);
});

test("a refusal for a reason that this version does not know keeps its message", () => {
  const newer = { type: "refused", code: "moon-phase", message: "wait for the new moon" };
  expect(decodeServerMessage(JSON.stringify(newer))).toEqual({ ...newer, code: "internal" });
});

test("a key called __proto__ stays a key", () => {
  const text = JSON.stringify(hello).replace('"version":"v1"', '"__proto__":"x"');
  const decoded = decodeMemberMessage(text);
  expect(decoded.type === "hello" && Object.entries(decoded.member.labels)).toEqual([["__proto__", "x"]]);
});

const memberTypes = "hello, subscribe, ack, nack, register, withdraw, certificate-request, plaintext-callers, goodbye";
const register = memberMessages[4] as Extract<MemberMessage, { type: "register" }>;
const withEndpoint = (change: object): unknown => ({ ...register, endpoint: { ...register.endpoint, ...change } });

describe("what a member may not say", () => {
  test.each<[title: string, text: string, code: string, message: string]>([
    ["nothing", "", "bad-json", "a message that is not JSON"],
    ["broken JSON", '{"type":', "bad-json", "a message that is not JSON"],
    ["a list", "[]", "bad-message", "message: expected an object, got a list of 0"],
    ["a number", "7", "bad-message", "message: expected an object, got 7"],
    ["null", "null", "bad-message", "message: expected an object, got null"],
    ["no type", "{}", "bad-message", "type: expected a string, got nothing"],
    ["a number as type", '{"type":1}', "bad-message", "type: expected a string, got 1"],
    ["an unknown type", '{"type":"hi"}', "unknown-type", `no message has the type "hi"; known are ${memberTypes}`],
    [
      "a type out of the prototype",
      '{"type":"toString"}',
      "unknown-type",
      `no message has the type "toString"; known are ${memberTypes}`,
    ],
    [
      "a config-server's type",
      '{"type":"renew"}',
      "unknown-type",
      `no message has the type "renew"; known are ${memberTypes}`,
    ],
    [
      "a caller whose name could steer a terminal",
      JSON.stringify({
        type: "plaintext-callers",
        callers: [{ address: "::1", userAgent: "\u001b[2J", transport: "tls", requests: 1, lastSeenAgoMs: 0 }],
      }),
      "bad-message",
      'plaintext-callers.callers[0].userAgent: expected at most 120 printable ASCII characters, got "\\u001b[2J"',
    ],
    [
      "too much",
      JSON.stringify({ type: "goodbye", padding: "x".repeat(MAX_MEMBER_MESSAGE_BYTES) }),
      "too-large",
      `a message of ${MAX_MEMBER_MESSAGE_BYTES + 31} bytes; at most ${MAX_MEMBER_MESSAGE_BYTES} are allowed`,
    ],
    [
      "a hello without member",
      JSON.stringify({ ...hello, member: undefined }),
      "bad-message",
      "hello.member: expected an object, got nothing",
    ],
    [
      "an id with a line break",
      JSON.stringify({ ...hello, member: { ...hello.member, id: "a\nb" } }),
      "bad-message",
      'hello.member.id: expected 1 to 253 printable ASCII characters without spaces, got "a\\nb"',
    ],
    [
      "a namespace that is none",
      JSON.stringify({ ...hello, member: { ...hello.member, namespace: "Default" } }),
      "bad-message",
      'hello.member.namespace: expected a DNS label, got "Default"',
    ],
    [
      "a label that is a number",
      JSON.stringify({ ...hello, member: { ...hello.member, labels: { version: 1 } } }),
      "bad-message",
      'hello.member.labels["version"]: expected a string of 0 to 253 characters, got 1',
    ],
    [
      "too many labels",
      JSON.stringify({
        ...hello,
        member: { ...hello.member, labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`l${n}`, ""])) },
      }),
      "bad-message",
      "hello.member.labels: expected at most 64 entries, got a list of 65",
    ],
    [
      "a held revision that is none",
      JSON.stringify({ ...hello, held: { policy: { revision: "e", seen: null, resources: {} } } }),
      "bad-message",
      'hello.held.policy.revision: expected a revision, epoch.number, got "e"',
    ],
    [
      "a held stream of null",
      JSON.stringify({ ...hello, held: { policy: null } }),
      "bad-message",
      "hello.held.policy: expected an object, got null",
    ],
    [
      "a subscription without namespace",
      JSON.stringify({ ...hello, subscriptions: ["ratings"] }),
      "bad-message",
      'hello.subscriptions[0]: expected namespace/name, got "ratings"',
    ],
    [
      "a subscribe whose list is an object",
      '{"type":"subscribe","add":{},"remove":[]}',
      "bad-message",
      "subscribe.add: expected a list of at most 10000, got an object",
    ],
    [
      "an ack of an unknown stream",
      '{"type":"ack","stream":"gossip","revision":"e.1"}',
      "bad-message",
      'ack.stream: expected one of policy, endpoints, trust, got "gossip"',
    ],
    [
      "a nack with a novel",
      JSON.stringify({ type: "nack", stream: "policy", revision: "e.1", reason: "x".repeat(2_001) }),
      "bad-message",
      "nack.reason: expected a string of 0 to 2000 characters, got a string of 2001 characters",
    ],
    [
      "port 0",
      JSON.stringify(withEndpoint({ port: 0 })),
      "bad-message",
      "register.endpoint.port: expected a whole number from 1 to 65535, got 0",
    ],
    [
      "a port with a fraction",
      JSON.stringify(withEndpoint({ port: 80.5 })),
      "bad-message",
      "register.endpoint.port: expected a whole number from 1 to 65535, got 80.5",
    ],
    [
      "an address that is a URL",
      JSON.stringify(withEndpoint({ address: "http://x" })),
      "bad-message",
      'register.endpoint.address: expected an IP address or a host name, got "http://x"',
    ],
    [
      "an unknown transport",
      JSON.stringify(withEndpoint({ transport: "pigeon" })),
      "bad-message",
      'register.endpoint.transport: expected one of mtls, plaintext, tls, got "pigeon"',
    ],
    [
      "a weight of null",
      JSON.stringify(withEndpoint({ weight: null })),
      "bad-message",
      "register.endpoint.weight: expected a whole number from 1 to 1000, got null",
    ],
    [
      "a request of 9 KiB",
      JSON.stringify({ type: "certificate-request", id: 1, csr: "x".repeat(9_216) }),
      "bad-message",
      "certificate-request.csr: expected a string of 1 to 8192 characters, got a string of 9216 characters",
    ],
  ])("%s", (_title, text, code, message) => {
    expect(refusal(() => decodeMemberMessage(text))).toEqual({ code, message });
  });
});

describe("what a config-server may not say", () => {
  const part = { type: "part", stream: "policy", revision: "e.1", index: 0, upserts: [], removals: [] };
  test.each<[title: string, text: string, code: string, message: string]>([
    [
      "too much",
      `"${"ü".repeat(MAX_PART_BYTES / 2)}"`,
      "too-large",
      `a message of ${MAX_PART_BYTES + 2} bytes; at most ${MAX_PART_BYTES} are allowed`,
    ],
    [
      "an upsert without content",
      JSON.stringify({ ...part, upserts: [{ name: "mesh", version: "v" }] }),
      "bad-message",
      "part.upserts[0]: expected exactly one of value and gzip, got nothing",
    ],
    [
      "an upsert with two contents",
      JSON.stringify({ ...part, upserts: [{ name: "mesh", version: "v", value: {}, gzip: "H4sI" }] }),
      "bad-message",
      'part.upserts[0]: expected exactly one of value and gzip, got "both"',
    ],
    [
      "an upsert whose value is a string",
      JSON.stringify({ ...part, upserts: [{ name: "mesh", version: "v", value: "x" }] }),
      "bad-message",
      'part.upserts[0].value: expected an object, got "x"',
    ],
    [
      "a part with a negative index",
      JSON.stringify({ ...part, index: -1 }),
      "bad-message",
      `part.index: expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, got -1`,
    ],
    [
      "a begin that does not say whether it is full",
      '{"type":"begin","stream":"policy","revision":"e.1"}',
      "bad-message",
      "begin.full: expected true or false, got nothing",
    ],
    [
      "a ping interval of zero",
      JSON.stringify({ ...serverMessages[0], pingIntervalMs: 0 }),
      "bad-message",
      "welcome.pingIntervalMs: expected a whole number from 1 to 2147483647, got 0",
    ],
    [
      "an identity that is none",
      JSON.stringify({ ...serverMessages[0], spiffeId: "https://x" }),
      "bad-message",
      'welcome.spiffeId: expected a SPIFFE ID, got "https://x"',
    ],
  ])("%s", (_title, text, code, message) => {
    expect(refusal(() => decodeServerMessage(text))).toEqual({ code, message });
  });
});

const refusal = (act: () => unknown): { code: string; message: string } | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { code: error.code, message: error.message };
  }
};
