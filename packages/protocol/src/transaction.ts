import { gunzipSync } from "node:zlib";
import { MAX_RESOURCE_BYTES } from "./limits.ts";
import type { Begin, Commit, Part } from "./member-messages.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ResourceName, ResourceUpsert, ResourceValue } from "./resource.ts";
import { decodeResource } from "./resource-shape.ts";
import { parseRevision, type Revision } from "./stream.ts";

/** One resource as a member holds it. */
export interface HeldResource {
  readonly version: string;
  readonly value: ResourceValue;
}

/** What a member holds of one stream. Immutable; replaced whole at a commit. */
export interface StreamState {
  /** The last transaction that was taken. */
  readonly revision: Revision | null;
  /** The highest position that was committed, taken or refused. */
  readonly seen: Revision | null;
  readonly resources: ReadonlyMap<ResourceName, HeldResource>;
}

/** A member that holds nothing yet. */
export const emptyStream: StreamState = { revision: null, seen: null, resources: new Map() };

/** A transaction that is still coming in. */
export interface OpenTransaction {
  readonly begin: Begin;
  readonly parts: readonly Part[];
  /** Bytes of all parts so far, as received. */
  readonly bytes: number;
}

/** Bounds of one transaction. */
export interface TransactionLimits {
  /** Parts. @default 4096 */
  readonly maxParts: number;
  /** Bytes as received, and again of the JSON that compressed values hold. @default 64 MiB */
  readonly maxBytes: number;
}

export const defaultTransactionLimits: TransactionLimits = { maxParts: 4_096, maxBytes: 64 * 1_048_576 };

/** How a transaction ended: swapped in, or refused whole because of what a resource holds. */
export type Committed =
  | { readonly outcome: "taken"; readonly state: StreamState; readonly changed: readonly ResourceName[] }
  | {
      readonly outcome: "refused";
      readonly state: StreamState;
      readonly reason: string;
      readonly resource: ResourceName;
    };

/**
 * Opens a transaction on a stream.
 *
 * @throws ProtocolError `wrong-order` when one is open, or when a new epoch does not begin in full; `behind` when the
 * position lies before one that was seen.
 */
export const beginTransaction = (
  held: StreamState,
  open: OpenTransaction | undefined,
  begin: Begin,
): OpenTransaction => {
  if (open !== undefined) {
    throw new ProtocolError(
      "wrong-order",
      `begin ${begin.revision} on ${begin.stream} while ${open.begin.revision} is open`,
    );
  }
  const next = parseRevision(begin.revision);
  const seen = held.seen === null ? undefined : parseRevision(held.seen);
  // What is held may be told of again: a subscription changes what is sent of it, also after a refusal of something newer.
  const repeats = begin.revision === held.revision && !begin.full;
  if (!repeats && seen !== undefined && next?.epoch === seen.epoch && next.number < seen.number) {
    throw new ProtocolError("behind", `begin ${begin.revision} on ${begin.stream} after ${held.seen} was seen`);
  }
  const base = held.revision === null ? undefined : parseRevision(held.revision);
  if (base !== undefined && next?.epoch !== base.epoch && !begin.full) {
    throw new ProtocolError(
      "wrong-order",
      `begin ${begin.revision} on ${begin.stream} is of another epoch than ${held.revision} and not full`,
    );
  }
  return { begin, parts: [], bytes: 0 };
};

/**
 * Adds a part to the open transaction.
 *
 * @param bytes of the part as received.
 * @throws ProtocolError `wrong-order` without a fitting begin or with a gap; `too-large` beyond the limits.
 */
export const addPart = (
  open: OpenTransaction | undefined,
  part: Part,
  bytes: number,
  limits: TransactionLimits = defaultTransactionLimits,
): OpenTransaction => {
  const fitting = demandOpen(open, part);
  if (part.index !== fitting.parts.length) {
    throw new ProtocolError(
      "wrong-order",
      `part ${part.index} of ${part.revision} came in place of ${fitting.parts.length}`,
    );
  }
  const next = { ...fitting, parts: [...fitting.parts, part], bytes: fitting.bytes + bytes };
  if (next.parts.length > limits.maxParts || next.bytes > limits.maxBytes) {
    throw new ProtocolError(
      "too-large",
      `the transaction ${part.revision} has more than ${limits.maxParts} parts or ${limits.maxBytes} bytes`,
    );
  }
  return next;
};

/**
 * Closes the open transaction: what the stream holds from now on, or why it stays as it was. A resource whose version is
 * already held keeps its value, so that what did not change can be told by `===`.
 *
 * @throws ProtocolError `wrong-order` without a fitting begin or with a wrong count of parts.
 */
export const commitTransaction = (
  held: StreamState,
  open: OpenTransaction | undefined,
  commit: Commit,
  limits: TransactionLimits = defaultTransactionLimits,
): Committed => {
  const { begin, parts } = demandOpen(open, commit);
  if (commit.parts !== parts.length) {
    throw new ProtocolError(
      "wrong-order",
      `commit ${commit.revision} counts ${commit.parts} parts, ${parts.length} came`,
    );
  }
  const resources = new Map(begin.full ? [] : held.resources);
  const changed = new Set<ResourceName>(begin.full ? held.resources.keys() : []);
  const budget = { bytes: limits.maxBytes };
  let name = "";
  try {
    for (const part of parts) {
      for (name of part.removals) {
        if (resources.delete(name)) changed.add(name);
      }
      for (const upsert of part.upserts) {
        name = upsert.name;
        const before = held.resources.get(name);
        if (before?.version === upsert.version) {
          changed.delete(name);
          resources.set(name, before);
        } else {
          changed.add(name);
          resources.set(name, { version: upsert.version, value: unpack(upsert, budget) });
        }
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { outcome: "refused", state: refused(held, commit.revision), reason: error.message, resource: name };
  }
  const state = { revision: commit.revision, seen: laterOf(held.seen, commit.revision), resources };
  return { outcome: "taken", state, changed: [...changed] };
};

/** The stream after a refusal: it holds what it held, and has seen more. */
export const refused = (held: StreamState, revision: Revision): StreamState => ({
  ...held,
  seen: laterOf(held.seen, revision),
});

const laterOf = (seen: Revision | null, revision: Revision): Revision => {
  const [before, after] = [seen === null ? undefined : parseRevision(seen), parseRevision(revision)];
  const older = before !== undefined && before.epoch === after?.epoch && after.number < before.number;
  return older && seen !== null ? seen : revision;
};

const demandOpen = (open: OpenTransaction | undefined, message: Part | Commit): OpenTransaction => {
  if (open?.begin.revision === message.revision) return open;
  const instead = open === undefined ? "without a begin" : `while ${open.begin.revision} is open`;
  throw new ProtocolError("wrong-order", `${message.type} of ${message.revision} on ${message.stream} ${instead}`);
};

const unpack = (upsert: ResourceUpsert, budget: { bytes: number }): ResourceValue => {
  if (upsert.gzip === undefined) return decodeResource(upsert.name, upsert.value);
  const json = gunzip(upsert.name, upsert.gzip);
  budget.bytes -= json.length;
  if (budget.bytes < 0) throw new ProtocolError("too-large", `${upsert.name}: the transaction's values are too large`);
  try {
    return decodeResource(upsert.name, JSON.parse(json.toString("utf8")));
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError("bad-json", `${upsert.name}: what was compressed is not JSON`, error);
  }
};

const gunzip = (name: ResourceName, base64: string): Buffer => {
  try {
    return gunzipSync(Buffer.from(base64, "base64"), { maxOutputLength: MAX_RESOURCE_BYTES });
  } catch (error) {
    throw new ProtocolError("bad-message", `${name}: not the gzip of at most ${MAX_RESOURCE_BYTES} bytes`, error);
  }
};
