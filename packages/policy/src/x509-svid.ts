import { parseSpiffeId } from "./spiffe-id.ts";

/**
 * Why a certificate may not speak for a workload, by the X.509-SVID specification (sections 2 and 4), although its chain is good: a
 * CA's certificate is not a workload's, nor is one that may sign others, and an ID without a path names a whole trust domain.
 * OpenSSL does not mind, and Node.js calls nobody a CA who lacks one of the two marks of one. `undefined`: it may.
 *
 * @param raw DER of the certificate; what cannot be read may not.
 */
export const svidFlaw = (raw: Uint8Array, spiffeId: string): string | undefined => {
  const extensions = extensionsOf(raw);
  if (extensions === undefined) return "its extensions cannot be read";
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (constraints !== undefined && isCa(constraints)) return "it is a CA's certificate";
  const usage = extensions.get(KEY_USAGE);
  if (usage !== undefined && maySignOthers(usage)) return "it may sign certificates or revocation lists";
  return parseSpiffeId(spiffeId)?.path === ""
    ? "its SPIFFE ID has no path, so it names a trust domain and no workload"
    : undefined;
};

const BOOLEAN = 0x01;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;
const EXTENSIONS = 0xa3;

/** 2.5.29.15. */
const KEY_USAGE = "551d0f";

/** 2.5.29.19. */
const BASIC_CONSTRAINTS = "551d13";

/** Of the first byte of the bits: keyCertSign and cRLSign. */
const SIGNS_OTHERS = 0b0000_0110;

/** The extensions' values by the identifier's bytes in hexadecimal. */
const extensionsOf = (raw: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined => {
  const [certificate] = partsOf(raw);
  const [signed] = certificate?.tag === SEQUENCE ? partsOf(certificate.content) : [];
  if (signed?.tag !== SEQUENCE) return undefined;
  const wrapped = partsOf(signed.content).find(({ tag }) => tag === EXTENSIONS);
  const [list] = wrapped === undefined ? [] : partsOf(wrapped.content);
  const found = new Map<string, Uint8Array>();
  for (const extension of list === undefined ? [] : partsOf(list.content)) {
    const parts = partsOf(extension.content);
    const [id] = parts;
    const value = parts.find(({ tag }) => tag === OCTET_STRING);
    if (id?.tag !== OBJECT_IDENTIFIER || value === undefined) return undefined;
    found.set(Buffer.from(id.content).toString("hex"), value.content);
  }
  return found;
};

const isCa = (constraints: Uint8Array): boolean => {
  const [sequence] = partsOf(constraints);
  if (sequence?.tag !== SEQUENCE) return true;
  const ca = partsOf(sequence.content).find(({ tag }) => tag === BOOLEAN);
  return ca !== undefined && ca.content[0] !== 0;
};

const maySignOthers = (usage: Uint8Array): boolean => {
  const [bits] = partsOf(usage);
  // The first byte of a bit string counts the bits that its last byte has not.
  return bits?.tag !== BIT_STRING || ((bits.content[1] ?? 0) & SIGNS_OTHERS) !== 0;
};

interface Part {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** What stands one after the other in a piece of DER, up to what cannot be read. */
const partsOf = (der: Uint8Array): readonly Part[] => {
  const parts: Part[] = [];
  let at = 0;
  while (at + 2 <= der.length) {
    const tag = der[at] ?? 0;
    const first = der[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    let length = lengthBytes === 0 ? first : 0;
    for (let place = 0; place < lengthBytes; place++) length = length * 256 + (der[at + 2 + place] ?? 0);
    const start = at + 2 + lengthBytes;
    if (first === 0x80 || start + length > der.length) return [];
    parts.push({ tag, content: der.subarray(start, start + length) });
    at = start + length;
  }
  return parts;
};
