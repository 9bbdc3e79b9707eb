import { createHash } from "node:crypto";

/** What ties a line of the audit log to the one before it. */
export interface ChainLink {
  /** Of the line: 1 for the first, then one more for each. */
  readonly seq: number;
  /** SHA-256 of the line before, base64url; `""` for the first. */
  readonly prev: string;
}

/** SHA-256 of a line without its end, base64url. */
export const hashOfLine = (line: string): string => createHash("sha256").update(line).digest("base64url");

/** A line as it stands in a file. */
export interface AuditLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** What {@link verifyChain} found. */
export type ChainVerdict =
  | {
      readonly intact: true;
      readonly lines: number;
      /** Of the first and the last line; 0 for an empty log. Older lines than the first have been removed with their file. */
      readonly firstSeq: number;
      readonly lastSeq: number;
      /** Hash of the last line. Keep it elsewhere: it tells later whether the end was cut off. */
      readonly head: string;
    }
  | {
      readonly intact: false;
      readonly file: string;
      readonly line: number;
      readonly reason: string;
    };

/**
 * Checks that no line was changed, removed, added or moved: each has the hash of the one before. What the lines alone cannot
 * show is that the last ones were cut off; a head that was kept elsewhere does.
 *
 * @param lines of all files, the oldest first.
 * @param keptHead must be the hash of one of the lines.
 */
export const verifyChain = (lines: readonly AuditLine[], keptHead?: string): ChainVerdict => {
  let last: { readonly seq: number; readonly hash: string } | undefined;
  let firstSeq = 0;
  let torn: AuditLine | undefined;
  let seen = keptHead === undefined;
  for (const line of lines) {
    const broken = (reason: string): ChainVerdict => ({ intact: false, file: line.file, line: line.line, reason });
    const read = linkOf(line.text);
    const hash = hashOfLine(line.text);
    if (read === undefined) {
      if (torn !== undefined) return broken("the line is none of the log's");
      torn = line;
    } else {
      // A crash may leave half a line; the next start closes it, and says so in the line that follows.
      if (torn !== undefined && read.event !== RESUMED) {
        return { intact: false, file: torn.file, line: torn.line, reason: "the line is none of the log's" };
      }
      if (last !== undefined && read.seq !== last.seq + 1) {
        return broken(`the line has the number ${read.seq} and follows ${last.seq}: lines were removed or moved`);
      }
      const before = torn === undefined ? last?.hash : hashOfLine(torn.text);
      if (before !== undefined && read.prev !== before) return broken("the line before it was changed");
      if (last === undefined && torn === undefined && (read.seq === 1) !== (read.prev === "")) {
        return broken("the first line does not begin a log");
      }
      firstSeq ||= read.seq;
      last = { seq: read.seq, hash };
      torn = undefined;
    }
    seen ||= hash === keptHead;
  }
  if (torn !== undefined) return { intact: false, file: torn.file, line: torn.line, reason: "the line is not whole" };
  if (!seen) {
    const end = lines.at(-1);
    const reason = "no line has the head that was given: the end of the log was cut off, or another log stands here";
    return { intact: false, file: end?.file ?? "", line: end?.line ?? 0, reason };
  }
  return { intact: true, lines: lines.length, firstSeq, lastSeq: last?.seq ?? 0, head: last?.hash ?? "" };
};

/** The event of the first line after a crash that left half a line. */
export const RESUMED = "audit-resumed";

/** The link and the event of a whole line; `undefined` for half a one and for other text. */
export const linkOf = (text: string): (ChainLink & { readonly event: string }) | undefined => {
  try {
    const { seq, prev, event } = JSON.parse(text);
    const whole = Number.isInteger(seq) && seq > 0 && typeof prev === "string" && typeof event === "string";
    return whole ? { seq, prev, event } : undefined;
  } catch {
    return undefined;
  }
};
