import { readFile } from "node:fs/promises";
import type { AuditLine } from "./audit-chain.ts";
import { KEPT_AUDIT_FILES } from "./audit-log.ts";

/**
 * Reads the lines of an audit log, the oldest first, with those of its full files.
 *
 * @param file the present one, `audit.jsonl` in the state folder.
 * @throws Error when there is none.
 */
export const readAuditLog = async (file: string): Promise<readonly AuditLine[]> => {
  const lines: AuditLine[] = [];
  for (let number = KEPT_AUDIT_FILES; number >= 0; number--) {
    const name = number === 0 ? file : `${file}.${number}`;
    const text = await readFile(name, "utf8").catch((error: unknown) => {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (missing && number > 0) return "";
      throw error;
    });
    const texts = text.split("\n");
    // What follows the last line's end is nothing, or half a line.
    if (texts.at(-1) === "") texts.pop();
    lines.push(...texts.map((each, index) => ({ file: name, line: index + 1, text: each })));
  }
  return lines;
};
