import type { ApplyResult } from "@tulle/protocol";
import type { Terminal } from "./terminal.ts";

/** One line per policy that changed, then the revision and the warnings. */
export const printChanges = (terminal: Terminal, result: ApplyResult, mood: "" | "would be "): void => {
  const changed = result.changes.filter(({ change }) => change !== "unchanged");
  for (const { key, change } of changed) terminal.write(`${key}\t${mood}${change}\n`);
  const unchanged = result.changes.length - changed.length;
  if (terminal.interactive && unchanged > 0) terminal.write(`${unchanged} unchanged\n`);
  terminal.write(`revision\t${result.revision}\n`);
  for (const warning of result.warnings) terminal.writeError(`warning: ${warning}\n`);
};
