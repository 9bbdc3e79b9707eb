import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Policy } from "@tulle/policy";

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Characters of base64 in one chunk; with its key well below what one commit may hold. */
export const CHUNK_CHARACTERS = 524_288;

/** A revision that was cut into more chunks than this is refused: half a gigabyte compressed is no policy. */
export const MAX_CHUNKS = 1_000;

/**
 * All policies of a revision as text in pieces: base64 of the gzip of their JSON, in the order of their keys. Compressed, for
 * histories grow for ever and policies resemble one another.
 */
export const encodePolicies = async (policies: readonly Policy[]): Promise<readonly string[]> => {
  const text = (await compress(JSON.stringify(policies))).toString("base64");
  const chunks: string[] = [];
  for (let at = 0; at < text.length; at += CHUNK_CHARACTERS) chunks.push(text.slice(at, at + CHUNK_CHARACTERS));
  return chunks;
};

/** @throws what zlib and JSON throw when a chunk is missing or damaged. */
export const decodePolicies = async (chunks: readonly string[]): Promise<readonly Policy[]> => {
  const text = (await decompress(Buffer.from(chunks.join(""), "base64"))).toString();
  return JSON.parse(text) as readonly Policy[]; // written by encodePolicies from policies that were validated
};
