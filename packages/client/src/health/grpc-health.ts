/** Where gRPC's health checking protocol is asked. */
export const GRPC_HEALTH_PATH = "/grpc.health.v1.Health/Check";

/** What a server says of itself or of one of its services (`HealthCheckResponse.ServingStatus`). */
export type ServingStatus = "UNKNOWN" | "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

const statuses: readonly ServingStatus[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** Before each message: whether it is compressed, and its length (gRPC over HTTP/2). */
const FRAME_HEAD_BYTES = 5;

/** Field 1 of either message: a text in the question, a number in the answer (protobuf's tags). */
const TEXT_FIELD_1 = 0x0a;
const NUMBER_FIELD_1 = 0x08;

/** `HealthCheckRequest` in its frame. By hand, for it has one field, and nobody should install protobuf for it. */
export const healthQuestion = (service: string): Buffer => {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([TEXT_FIELD_1]), varint(name.length), name]);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

/**
 * Reads `HealthCheckResponse` out of its frame. `undefined` for what is none: cut off, compressed, or with a status that nobody
 * knows. Fields that newer servers add are passed over.
 */
export const readHealthAnswer = (bytes: Buffer): ServingStatus | undefined => {
  if (bytes.length < FRAME_HEAD_BYTES || bytes[0] !== 0) return undefined;
  const length = bytes.readUInt32BE(1);
  if (bytes.length !== FRAME_HEAD_BYTES + length) return undefined;
  // The first of the statuses is what protobuf does not write at all.
  let status = 0;
  for (let at = FRAME_HEAD_BYTES; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    if (tag === undefined) return undefined;
    const next = skipField(bytes, tag.after, tag.value & 7);
    if (next === undefined) return undefined;
    if (tag.value === NUMBER_FIELD_1) status = readVarint(bytes, tag.after)?.value ?? 0;
    at = next;
  }
  return statuses[status];
};

/** Where the next field begins; `undefined` where this one is cut off or of no known kind. */
const skipField = (bytes: Buffer, at: number, wireType: number): number | undefined => {
  const number = readVarint(bytes, at);
  const after = { 0: number?.after, 1: at + 8, 2: number && number.after + number.value, 5: at + 4 }[wireType];
  return after === undefined || after > bytes.length ? undefined : after;
};

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
};

/** Numbers up to 32 bits; whatever is longer is none that occurs here. */
const readVarint = (bytes: Buffer, start: number): { readonly value: number; readonly after: number } | undefined => {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 5); at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return { value, after: at + 1 };
  }
  return undefined;
};
