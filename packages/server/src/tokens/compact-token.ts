import { invalid, type TokenFlaw } from "./token-flaw.ts";

/** Longest token that is looked at, characters. Node.js takes headers of 16 KiB in all unless told otherwise. */
export const MAX_TOKEN_CHARACTERS = 16_384;

/** Longest `kid`, characters: it is compared with the names of keys and used for nothing else. */
const MAX_KID_CHARACTERS = 512;

/** What is read of a token's header. All else in it (`jku`, `jwk`, `x5u`, `x5c`) is the sender's word and is not looked at. */
export interface TokenHeader {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** A JWS in its compact form, taken apart. Nothing in it is proven. */
export interface CompactToken {
  readonly text: string;
  readonly header: TokenHeader;
  /** The payload as it stands in the token, base64url. */
  readonly payloadSegment: string;
  readonly payload: Uint8Array;
}

/** Whether what {@link readCompactToken} gave is a flaw. */
export const isFlaw = (found: object): found is TokenFlaw => "detail" in found;

/** Takes a token apart, or says what is wrong with its form. */
export const readCompactToken = (text: string): CompactToken | TokenFlaw => {
  if (text.length > MAX_TOKEN_CHARACTERS) return invalid(`the token is longer than ${MAX_TOKEN_CHARACTERS} characters`);
  const segments = text.split(".", 4);
  const [headerSegment, payloadSegment, signatureSegment] = segments;
  if (headerSegment === undefined || payloadSegment === undefined || signatureSegment === undefined) {
    return invalid("the token has not the three parts of a signed token");
  }
  if (segments.length > 3) return invalid("the token has more parts than a signed token");
  const [headerBytes, payload, signature] = [headerSegment, payloadSegment, signatureSegment].map(decodeBase64url);
  if (headerBytes === undefined || payload === undefined || signature === undefined) {
    return invalid("a part of the token is not base64url");
  }
  if (signature.length === 0) return invalid("the token is not signed");
  const header = readObject(headerBytes);
  if (header === undefined) return invalid("the token's header is not a JSON object");
  const { alg, kid } = header;
  if (typeof alg !== "string") return invalid("the token's header names no algorithm");
  // Nothing beyond the standard is understood, so whatever the issuer calls critical refuses the token (RFC 7515, 4.1.11).
  if (Object.hasOwn(header, "crit")) return invalid("the token's header has critical parts that are not understood");
  if (header.b64 !== undefined && header.b64 !== true) return invalid("the token's payload is not base64url");
  if (kid !== undefined && (typeof kid !== "string" || kid.length > MAX_KID_CHARACTERS)) {
    return invalid("the token's header has a malformed key id");
  }
  return { text, header: { alg, kid }, payloadSegment, payload };
};

/** Strict: no padding, no foreign characters, no bits beyond the last byte. `undefined`: malformed. */
export const decodeBase64url = (text: string): Uint8Array | undefined => {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The JSON object in some bytes; `undefined` when they hold anything else. */
export const readObject = (bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    // An object of unknown shape is read by name; what is not there is undefined.
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
};
