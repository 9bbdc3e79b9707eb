import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "@tulle/time";
import { type ChainLink, hashOfLine, linkOf, RESUMED } from "./audit-chain.ts";

/** What the audit log tells of. Never holds a token, a key or a certificate. */
export interface AuditEvent {
  readonly event:
    | "certificate-issued"
    | "certificate-refused"
    | "join-refused"
    | "admin-refused"
    | "refusals-not-recorded"
    | "token-created"
    | "token-revoked"
    | "admin-token-created"
    | "admin-token-revoked"
    | "admin-token-rotated"
    | "policies-applied"
    | "policies-deleted"
    | "policies-rolled-back"
    | "renewal-asked"
    | "root-rotated"
    | "certificate-revoked"
    | "federation-added"
    | "federation-removed"
    | "certificate-restored"
    | "root-rotation-refused"
    | "epoch-renewed"
    | typeof RESUMED;
  /** Who: a SPIFFE ID, `admin`, `program`, or an address where nothing better is known. */
  readonly actor: string;
  /** What else is worth knowing: a token's id, a revision, a refusal's code and message. */
  readonly detail: Readonly<Record<string, string | number>>;
}

/** An append-only record of who was given what, and who was refused. */
export interface AuditLog {
  /** Settles when the line is on the disk. @throws Error when it cannot be; a certificate is then not given out. */
  record(event: AuditEvent): Promise<void>;
  close(): Promise<void>;
}

/** In the state folder. */
export const AUDIT_FILE = "audit.jsonl";

/** A full file becomes `<file>.1`, what was `.1` becomes `.2`, and so on. */
export const MAX_AUDIT_FILE_BYTES: number = 16 * 1024 * 1024;

/** Full files that are kept beside the present one; what is older goes. */
export const KEPT_AUDIT_FILES = 9;

/** Longest text of a detail; a peer's words are cut there. */
const MAX_DETAIL_LENGTH = 2_000;

/** No line is longer. */
const MAX_LINE_BYTES = 262_144;

interface Pending {
  readonly event: AuditEvent;
  readonly at: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An audit log of JSON lines in a file of mode 0600, each with the hash of the one before, so that a change shows
 * (`tulle audit verify`). Lines that come together are written together, and a line counts when the disk has it.
 *
 * @param file made when it does not exist; an existing one is gone on with.
 * @throws Error when it cannot be opened, or is none of ours.
 */
export const openAuditFile = async (
  file: string,
  clock: Clock,
  maxBytes: number = MAX_AUDIT_FILE_BYTES,
): Promise<AuditLog> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  let handle: FileHandle = await open(file, "a+", 0o600);
  let { size } = await handle.stat();
  const end = (await endOf(handle, size)) ?? (await endOfOlder(`${file}.1`));
  let link: ChainLink = end?.next ?? { seq: 1, prev: "" };
  // Bytes behind `size` that a failed write left.
  let leftOver = false;
  let pending: Pending[] = [];
  let writing: Promise<void> | undefined;

  const rotate = async (): Promise<void> => {
    await handle.close();
    try {
      for (let number = KEPT_AUDIT_FILES - 1; number >= 1; number--) {
        await rename(`${file}.${number}`, `${file}.${number + 1}`).catch(ignoreMissing);
      }
      await rename(file, `${file}.1`);
    } finally {
      // Where it could not be renamed it grows: too large is better than lost.
      handle = await open(file, "a+", 0o600);
      ({ size } = await handle.stat());
    }
  };

  const append = async (text: string): Promise<void> => {
    if (leftOver) await handle.truncate(size);
    leftOver = true;
    await handle.appendFile(text);
    await handle.datasync();
    leftOver = false;
    size += Buffer.byteLength(text);
  };

  const write = async (batch: readonly Pending[]): Promise<void> => {
    let next = link;
    let text = "";
    for (const { event, at } of batch) {
      const line = lineOf(event, at, next);
      text += `${line}\n`;
      next = { seq: next.seq + 1, prev: hashOfLine(line) };
    }
    if (size > 0 && size + Buffer.byteLength(text) > maxBytes) await rotate();
    try {
      await append(text);
      link = next;
    } catch (error) {
      // Half a line would stand before the next one.
      await handle.truncate(size).then(
        () => {
          leftOver = false;
        },
        () => undefined,
      );
      throw error;
    }
  };

  const drain = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = within(pending, maxBytes);
      pending = pending.slice(batch.length);
      try {
        await write(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = undefined;
  };

  const log: AuditLog = {
    record: (event) =>
      new Promise((resolve, reject) => {
        // Each caller waits for its own line, so the queue is as long as there are callers.
        pending.push({ event, at: new Date(clock.wallNow()).toISOString(), resolve, reject });
        writing ??= Promise.resolve().then(drain);
      }),
    close: async () => {
      while (writing !== undefined) await writing;
      await handle.close();
    },
  };

  if (end !== undefined && end.tornBytes > 0) {
    await append("\n");
    await log.record({ event: RESUMED, actor: "program", detail: { tornBytes: end.tornBytes } });
  }
  return log;
};

const lineOf = ({ event, actor, detail }: AuditEvent, at: string, { seq, prev }: ChainLink): string => {
  const cut = Object.entries(detail).map(([name, value]) => [
    name,
    typeof value === "string" ? value.slice(0, MAX_DETAIL_LENGTH) : value,
  ]);
  return JSON.stringify({
    seq,
    at,
    event,
    actor: actor.slice(0, MAX_DETAIL_LENGTH),
    detail: Object.fromEntries(cut),
    prev,
  });
};

/** Lines are written together as long as a file is not overrun by them. */
const within = (pending: readonly Pending[], maxBytes: number): readonly Pending[] => {
  const perLine = 500;
  return pending.slice(0, Math.max(1, Math.floor(maxBytes / 4 / perLine)));
};

/** Where a log goes on. */
interface LogEnd {
  readonly next: ChainLink;
  /** Of a line that a crash left half written. */
  readonly tornBytes: number;
}

const endOf = async (handle: FileHandle, size: number): Promise<LogEnd | undefined> => {
  if (size === 0) return undefined;
  const length = Math.min(size, 2 * MAX_LINE_BYTES);
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
  const lines = buffer.toString("utf8").split("\n");
  const torn = lines.pop() ?? "";
  const last = lines.findLast((line) => linkOf(line) !== undefined);
  const whole = lines.at(-1);
  const seq = last === undefined ? 0 : (linkOf(last)?.seq ?? 0);
  if (last === undefined && length < size) {
    throw new Error("the audit log has no line that could be gone on with: move it away");
  }
  const before = torn === "" ? whole : torn;
  return {
    next: { seq: seq + 1, prev: before === undefined ? "" : hashOfLine(before) },
    tornBytes: Buffer.byteLength(torn),
  };
};

const endOfOlder = async (file: string): Promise<LogEnd | undefined> => {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
  try {
    const end = await endOf(handle, (await handle.stat()).size);
    // What is torn there stays: only the present file is written to.
    return end === undefined ? undefined : { ...end, tornBytes: 0 };
  } finally {
    await handle.close();
  }
};

const ignoreMissing = (error: unknown): void => {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
};

/** An audit log that is kept nowhere, for a config-server without a state folder. */
export const discardedAuditLog: AuditLog = {
  record: async () => undefined,
  close: async () => undefined,
};
