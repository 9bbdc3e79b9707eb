import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "@tulle/time";

/** What the audit log tells of. Never holds a token, a key or a certificate. */
export interface AuditEvent {
  readonly event:
    | "certificate-issued"
    | "certificate-refused"
    | "join-refused"
    | "token-created"
    | "token-revoked"
    | "policies-applied"
    | "policies-deleted"
    | "policies-rolled-back"
    | "renewal-asked"
    | "root-rotated"
    | "root-rotation-refused"
    | "epoch-renewed";
  /** Who: a SPIFFE ID, `admin`, `program`, or an address where nothing better is known. */
  readonly actor: string;
  /** What else is worth knowing: a token's id, a revision, a refusal's code and message. */
  readonly detail: Readonly<Record<string, string | number>>;
}

/** An append-only record of who was given what. */
export interface AuditLog {
  /** Settles when the line is written. @throws Error when it cannot be; a certificate is then not given out. */
  record(event: AuditEvent): Promise<void>;
  close(): Promise<void>;
}

/** A full file is kept beside the new one, and the one before it goes: at most twice this much is on disk. */
export const MAX_AUDIT_FILE_BYTES: number = 16 * 1024 * 1024;

/**
 * An audit log of JSON lines in a file of mode 0600. At {@link MAX_AUDIT_FILE_BYTES} the file becomes `<file>.1`.
 *
 * @param file made when it does not exist.
 */
export const openAuditFile = async (
  file: string,
  clock: Clock,
  maxBytes: number = MAX_AUDIT_FILE_BYTES,
): Promise<AuditLog> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  let handle: FileHandle = await open(file, "a", 0o600);
  let { size } = await handle.stat();
  // One writer after the other; each caller waits for its own line, so the queue is as long as there are callers.
  let last: Promise<void> = Promise.resolve();

  const write = async (line: string): Promise<void> => {
    const length = Buffer.byteLength(line);
    if (size > 0 && size + length > maxBytes) {
      await handle.close();
      await rename(file, `${file}.1`);
      handle = await open(file, "a", 0o600);
      size = 0;
    }
    await handle.appendFile(line);
    size += length;
  };

  return {
    record: (event) => {
      const line = `${JSON.stringify({ at: new Date(clock.wallNow()).toISOString(), ...event })}\n`;
      const written = last.then(() => write(line));
      last = written.catch(() => undefined);
      return written;
    },
    close: async () => {
      await last;
      await handle.close();
    },
  };
};

/** An audit log that is kept nowhere, for a config-server without a state folder. */
export const discardedAuditLog: AuditLog = {
  record: async () => undefined,
  close: async () => undefined,
};
