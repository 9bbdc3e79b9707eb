import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { parseSpiffeId } from "@tulle/policy";
import {
  bitString,
  implicit,
  objectIdentifier,
  octetString,
  pem,
  sequence,
  setOf,
  smallInteger,
  trueValue,
} from "./der.ts";

const EXTENSION_REQUEST = objectIdentifier("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME = objectIdentifier("2.5.29.17");
const ECDSA_WITH_SHA256 = objectIdentifier("1.2.840.10045.4.3.2");

/** A general name's tag for a URI (RFC 5280, section 4.2.1.6). */
const URI_NAME = 6;

/**
 * Writes a PKCS#10 request (RFC 2986) for an X.509-SVID: an empty subject, and the SPIFFE ID as the one critical subject
 * alternative name. Written here so that a member needs no X.509 library.
 *
 * @param key an ECDSA P-256 private key.
 * @returns PEM.
 * @throws RangeError for what is no SPIFFE ID: it could come out as another name.
 */
export const certificateRequest = (key: KeyObject, spiffeId: string): string => {
  const information = requestInformation(createPublicKey(key).export({ type: "spki", format: "der" }), spiffeId);
  const signature = sign("sha256", information, { key, dsaEncoding: "der" });
  return pem("CERTIFICATE REQUEST", signedRequest(information, signature));
};

/** What is signed (CertificationRequestInfo). @param publicKey SPKI, DER. @throws RangeError for what is no SPIFFE ID. */
export const requestInformation = (publicKey: Uint8Array, spiffeId: string): Uint8Array => {
  if (parseSpiffeId(spiffeId) === undefined) throw new RangeError(`"${spiffeId}" is no SPIFFE ID`);
  const names = sequence(implicit(URI_NAME, false, Buffer.from(spiffeId, "ascii")));
  const extensions = sequence(sequence(SUBJECT_ALT_NAME, trueValue, octetString(names)));
  const attributes = implicit(0, true, sequence(EXTENSION_REQUEST, setOf(extensions)));
  const emptySubject = sequence();
  return sequence(smallInteger(0), emptySubject, publicKey, attributes);
};

/** The information with a signature over it. */
export const signedRequest = (information: Uint8Array, signature: Uint8Array): Uint8Array =>
  sequence(information, sequence(ECDSA_WITH_SHA256), bitString(signature));
