import type { Endpoint, ServiceKey } from "@tulle/policy";
import { MAX_MEMBER_MESSAGE_BYTES, MAX_PART_BYTES } from "./limits.ts";
import {
  type Ack,
  type Begin,
  type CertificateIssued,
  type CertificateRequest,
  type Commit,
  type Done,
  type HeldStream,
  type Hello,
  type MemberGoodbye,
  type MemberMessage,
  type Nack,
  type Part,
  type PlaintextCallers,
  type RefusalCode,
  type Refused,
  type Register,
  type Renew,
  refusalCodes,
  type ServerGoodbye,
  type ServerMessage,
  type Subscribe,
  type Welcome,
  type Withdraw,
} from "./member-messages.ts";
import { MAX_PLAINTEXT_CALLERS, type ReportedCaller } from "./plaintext-callers.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ResourceUpsert, ResourceValue } from "./resource.ts";
import {
  anyObject,
  boolean,
  type Fields,
  integer,
  list,
  matching,
  nullable,
  object,
  oneOf,
  optional,
  record,
  refuse,
  type Shape,
  text,
} from "./shape.ts";
import { parseRevision, type Revision, type Stream, streams } from "./stream.ts";

const MAX_LABELS = 64;
const MAX_RENEW_SPREAD_MS = 86_400_000;
const MAX_FEATURES = 256;
const MAX_SUBSCRIPTIONS = 10_000;
const MAX_HELD_RESOURCES = 100_000;
const MAX_CSR_CHARACTERS = 8_192;
const MAX_NACK_REASON_CHARACTERS = 2_000;

const dnsLabel = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const label: Shape<string> = matching(new RegExp(`^${dnsLabel}$`), "a DNS label");
const service: Shape<ServiceKey> = matching(new RegExp(`^${dnsLabel}/${dnsLabel}$`), "namespace/name");
const resourceName: Shape<string> = text(1, 400);
const version: Shape<string> = text(1, 64);
const stream: Shape<Stream> = oneOf(streams);
const requestId: Shape<number> = integer(0, Number.MAX_SAFE_INTEGER);
const protocolVersion: Shape<number> = integer(0, 65_535);
const instanceId: Shape<string> = matching(
  /^[\x21-\x7e]{1,253}$/,
  "1 to 253 printable ASCII characters without spaces",
);
const labels: Shape<Readonly<Record<string, string>>> = record(text(1, 253), text(0, 253), MAX_LABELS);
const durationMs: Shape<number> = integer(0, 2_147_483_647);

const revision: Shape<Revision> = (value, path) =>
  typeof value === "string" && value.length <= 64 && parseRevision(value) !== undefined
    ? // `parseRevision` has just found an epoch and a number in it.
      (value as Revision)
    : refuse(path, "a revision, epoch.number", value);

const literal =
  <T extends string>(word: T): Shape<T> =>
  () =>
    word;

const held: Shape<HeldStream> = object<HeldStream>({
  revision: nullable(revision),
  seen: nullable(revision),
  resources: record(resourceName, version, MAX_HELD_RESOURCES),
});

const endpoint: Shape<Register["endpoint"]> = object<Register["endpoint"]>({
  id: instanceId,
  address: matching(/^[0-9A-Za-z.:_%-]{1,253}$/, "an IP address or a host name"),
  port: integer(1, 65_535),
  transport: oneOf(["mtls", "plaintext", "tls"]),
  labels,
  servername: optional(matching(/^[0-9A-Za-z.-]{1,253}$/, "a host name")),
  weight: optional(integer(1, 1_000)),
  locality: optional(
    object<NonNullable<Endpoint["locality"]>>({
      region: optional(text(0, 253)),
      zone: optional(text(0, 253)),
      subzone: optional(text(0, 253)),
    }),
  ),
});

const memberShapes: { readonly [T in MemberMessage["type"]]: Shape<Extract<MemberMessage, { type: T }>> } = {
  hello: object<Hello>({
    type: literal("hello"),
    protocol: object<Hello["protocol"]>({ min: protocolVersion, max: protocolVersion }),
    features: list(text(1, 100), MAX_FEATURES),
    software: text(0, 200),
    member: object<Hello["member"]>({ id: instanceId, namespace: label, service: label, labels }),
    held: object<Hello["held"]>({ policy: optional(held), endpoints: optional(held), trust: optional(held) }),
    subscriptions: list(service, MAX_SUBSCRIPTIONS),
  }),
  subscribe: object<Subscribe>({
    type: literal("subscribe"),
    add: list(service, MAX_SUBSCRIPTIONS),
    remove: list(service, MAX_SUBSCRIPTIONS),
  }),
  ack: object<Ack>({ type: literal("ack"), stream, revision }),
  nack: object<Nack>({
    type: literal("nack"),
    stream,
    revision,
    reason: text(0, MAX_NACK_REASON_CHARACTERS),
    resource: optional(resourceName),
  }),
  register: object<Register>({ type: literal("register"), id: requestId, service, endpoint }),
  withdraw: object<Withdraw>({
    type: literal("withdraw"),
    id: requestId,
    service,
    endpointId: instanceId,
    state: oneOf(["draining", "gone"]),
  }),
  "certificate-request": object<CertificateRequest>({
    type: literal("certificate-request"),
    id: requestId,
    csr: text(1, MAX_CSR_CHARACTERS),
  }),
  "plaintext-callers": object<PlaintextCallers>({
    type: literal("plaintext-callers"),
    callers: list(
      object<ReportedCaller>({
        address: matching(/^[0-9A-Za-z.:%]{0,64}$/, "an IP address"),
        userAgent: optional(matching(/^[\x20-\x7e]{0,120}$/, "at most 120 printable ASCII characters")),
        transport: oneOf(["plaintext", "tls"]),
        requests: integer(1, Number.MAX_SAFE_INTEGER),
        lastSeenAgoMs: durationMs,
      }),
      MAX_PLAINTEXT_CALLERS,
    ),
  }),
  goodbye: object<MemberGoodbye>({ type: literal("goodbye") }),
};

const upsertFields: Fields<ResourceUpsert> = {
  name: resourceName,
  version,
  value: optional(anyObject<ResourceValue>),
  gzip: optional(text(1, MAX_PART_BYTES)),
};

const upsertShape: Shape<ResourceUpsert> = object<ResourceUpsert>(upsertFields);

const upsert: Shape<ResourceUpsert> = (value, path) => {
  const found = upsertShape(value, path);
  return (found.value === undefined) === (found.gzip === undefined)
    ? refuse(path, "exactly one of value and gzip", found.value === undefined ? undefined : "both")
    : found;
};

/** A newer server may refuse for reasons that this version has no word for; its message still says them. */
const refusalCode: Shape<RefusalCode> = (value, path) => {
  const word = text(1, 100)(value, path);
  return refusalCodes.find((code) => code === word) ?? "internal";
};

const serverShapes: { readonly [T in ServerMessage["type"]]: Shape<Extract<ServerMessage, { type: T }>> } = {
  welcome: object<Welcome>({
    type: literal("welcome"),
    protocol: protocolVersion,
    features: list(text(1, 100), MAX_FEATURES),
    software: text(0, 200),
    spiffeId: matching(/^spiffe:\/\/[^\s]{1,2039}$/, "a SPIFFE ID"),
    pingIntervalMs: integer(1, 2_147_483_647),
    wallClockMs: integer(0, Number.MAX_SAFE_INTEGER),
  }),
  begin: object<Begin>({ type: literal("begin"), stream, revision, full: boolean }),
  part: object<Part>({
    type: literal("part"),
    stream,
    revision,
    index: integer(0, Number.MAX_SAFE_INTEGER),
    upserts: list(upsert, MAX_PART_BYTES),
    removals: list(resourceName, MAX_PART_BYTES),
  }),
  commit: object<Commit>({
    type: literal("commit"),
    stream,
    revision,
    parts: integer(0, Number.MAX_SAFE_INTEGER),
  }),
  done: object<Done>({ type: literal("done"), id: requestId }),
  certificate: object<CertificateIssued>({
    type: literal("certificate"),
    id: requestId,
    chain: text(1, MAX_PART_BYTES),
  }),
  refused: object<Refused>({
    type: literal("refused"),
    id: optional(requestId),
    code: refusalCode,
    message: text(0, 10_000),
  }),
  renew: object<Renew>({ type: literal("renew"), withinMs: optional(integer(0, MAX_RENEW_SPREAD_MS)) }),
  goodbye: object<ServerGoodbye>({ type: literal("goodbye"), reason: text(0, 2_000), retryAfterMs: durationMs }),
};

const decode = <M extends { readonly type: string }>(
  json: string,
  maxBytes: number,
  shapes: { readonly [T in M["type"]]: Shape<Extract<M, { type: T }>> },
): M => {
  // A UTF-16 unit is at most three bytes of UTF-8, so short texts need not be measured.
  if (json.length * 3 > maxBytes && Buffer.byteLength(json) > maxBytes) {
    throw new ProtocolError(
      "too-large",
      `a message of ${Buffer.byteLength(json)} bytes; at most ${maxBytes} are allowed`,
    );
  }
  const parsed = parseObject(json);
  const type = parsed.type;
  if (typeof type !== "string") return refuse("type", "a string", type);
  if (!Object.hasOwn(shapes, type)) {
    const known = Object.keys(shapes).join(", ");
    throw new ProtocolError(
      "unknown-type",
      `no message has the type ${JSON.stringify(type.slice(0, 40))}; known are ${known}`,
    );
  }
  // `type` was just found among the keys, and each shape makes the message of its own key.
  return (shapes as Readonly<Record<string, Shape<M>>>)[type]?.(parsed, type) ?? refuse("type", "a known type", type);
};

const parseObject = (json: string): Readonly<Record<string, unknown>> => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw new ProtocolError("bad-json", "a message that is not JSON", error);
  }
  return anyObject(parsed, "message");
};

/**
 * Reads what a member said. Fields that this version does not know are dropped; types that it does not know are refused.
 *
 * @throws ProtocolError `too-large`, `bad-json`, `unknown-type`, or `bad-message` with the way to the wrong field.
 */
export const decodeMemberMessage = (json: string): MemberMessage =>
  decode<MemberMessage>(json, MAX_MEMBER_MESSAGE_BYTES, memberShapes);

/**
 * Reads what a config-server said. What the resources of a part hold is checked when their transaction is committed.
 *
 * @throws ProtocolError as {@link decodeMemberMessage}.
 */
export const decodeServerMessage = (json: string): ServerMessage =>
  decode<ServerMessage>(json, MAX_PART_BYTES, serverShapes);

/** Writes a message. Parts come ready-made from `packTransaction`, so that a value is serialized once for all members. */
export const encodeMessage = (message: MemberMessage | ServerMessage): string => JSON.stringify(message);
