import { hash } from "node:crypto";

/**
 * The one JSON text of a value: keys sorted by UTF-16 units, no spaces, absent fields left out (RFC 8785).
 *
 * @throws TypeError for what JSON cannot say: functions, symbols, bigints, numbers that are not finite.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`);
  if (value === null || typeof value !== "object") {
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`a value of type ${typeof value} cannot be written as JSON`);
    return json;
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
  return `{${fields.join(",")}}`;
};

/** Bytes of the hash that make a version: 2^64 versions of one name before two are likely to collide. */
const VERSION_BYTES = 16;

/** The version of a content: the first 16 bytes of SHA-256 over its canonical JSON, base64url, 22 characters. */
export const contentVersion = (json: string): string =>
  hash("sha256", json, "buffer").subarray(0, VERSION_BYTES).toString("base64url");
