import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How a script ended. */
export interface ScriptEnd {
  /** `null` when it was killed because it did not end by itself. */
  readonly code: number | null;
  /** What it printed, without the white space around it. */
  readonly printed: string;
}

/** A script that hangs is killed after this time. */
const PATIENCE_MS = 10_000;

/** Runs a module as a user would, in a process of its own, until it ends by itself. */
export const runScript = async (
  source: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ScriptEnd> => {
  const child = spawn(
    process.execPath,
    ["--conditions=@tulle/source", "--input-type=module-typescript", "--eval", source, ...args],
    {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: PATIENCE_MS,
    },
  );
  let printed = "";
  child.stdout.on("data", (chunk) => {
    printed += String(chunk);
  });
  const [code] = await once(child, "close");
  return { code, printed: printed.trim() };
};
