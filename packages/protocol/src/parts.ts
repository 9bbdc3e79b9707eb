import { gzipSync } from "node:zlib";
import { encodeMessage } from "./codec.ts";
import { canonicalJson, contentVersion } from "./content-version.ts";
import { COMPRESS_ABOVE_BYTES, MAX_PART_BYTES, MAX_RESOURCE_BYTES } from "./limits.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ResourceName, ResourceValue } from "./resource.ts";
import type { Revision, Stream } from "./stream.ts";

/** A resource as it is sent: serialized and, when that helps, compressed once per version for all members. */
export interface PreparedResource {
  readonly name: ResourceName;
  readonly version: string;
  /** Canonical JSON of the value. */
  readonly json: string;
  /** Base64 of the gzip of `json`, where that is shorter. */
  readonly gzipBase64?: string;
}

/**
 * Serializes a resource for sending.
 *
 * @throws ProtocolError `too-large` when its JSON is longer than 192 KiB.
 */
export const prepareResource = (name: ResourceName, value: ResourceValue): PreparedResource => {
  const json = canonicalJson(value);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_RESOURCE_BYTES) {
    throw new ProtocolError(
      "too-large",
      `the resource ${name} has ${bytes} bytes; at most ${MAX_RESOURCE_BYTES} are allowed`,
    );
  }
  const plain = { name, version: contentVersion(json), json };
  if (bytes <= COMPRESS_ABOVE_BYTES) return plain;
  const gzipBase64 = gzipSync(json).toString("base64");
  return gzipBase64.length < bytes ? { ...plain, gzipBase64 } : plain;
};

/** All that is needed to say one transaction. */
export interface TransactionContent {
  readonly stream: Stream;
  readonly revision: Revision;
  /** See `Begin.full`. */
  readonly full: boolean;
  readonly upserts: Iterable<PreparedResource>;
  readonly removals: Iterable<ResourceName>;
  /** Whether the member said the feature `gzip`. */
  readonly gzip: boolean;
}

/**
 * The messages of a transaction, ready to be sent in this order: begin, parts of at most 256 KiB, commit. Values are not
 * serialized again, only put together.
 */
export const packTransaction = (content: TransactionContent): readonly string[] => {
  const { stream, revision, full } = content;
  const parts = packParts(content);
  return [
    encodeMessage({ type: "begin", stream, revision, full }),
    ...parts,
    encodeMessage({ type: "commit", stream, revision, parts: parts.length }),
  ];
};

const packParts = ({ stream, revision, upserts, removals, gzip }: TransactionContent): readonly string[] => {
  const parts: string[] = [];
  const head = (): string =>
    `{"type":"part","stream":"${stream}","revision":${JSON.stringify(revision)},"index":${parts.length}`;
  /** What every part costs besides its items: head with a long index, and the brackets of both lists. */
  const frame = head().length + 40;
  let pending = { upserts: [] as string[], removals: [] as string[], bytes: frame };
  const flush = (): void => {
    if (pending.bytes === frame) return;
    parts.push(`${head()},"upserts":[${pending.upserts.join(",")}],"removals":[${pending.removals.join(",")}]}`);
    pending = { upserts: [], removals: [], bytes: frame };
  };
  const add = (list: "upserts" | "removals", item: string): void => {
    const bytes = Buffer.byteLength(item) + 1;
    if (pending.bytes + bytes > MAX_PART_BYTES) flush();
    pending[list].push(item);
    pending.bytes += bytes;
  };
  for (const resource of upserts) add("upserts", upsertJson(resource, gzip));
  for (const name of removals) add("removals", JSON.stringify(name));
  flush();
  return parts;
};

const upsertJson = ({ name, version, json, gzipBase64 }: PreparedResource, gzip: boolean): string => {
  const content = gzip && gzipBase64 !== undefined ? `"gzip":"${gzipBase64}"` : `"value":${json}`;
  return `{"name":${JSON.stringify(name)},"version":${JSON.stringify(version)},${content}}`;
};
