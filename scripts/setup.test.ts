import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { staleReason } from "./setup.mjs";

type Entries = Record<
  string,
  { version?: string; integrity?: string; optional?: boolean; link?: boolean; resolved?: string }
>;

describe("whether node_modules matches the lock file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tulle-setup-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const lockIs = (packages: Entries): void =>
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ packages: { "": {}, ...packages } }));
  const installedIs = (packages: Entries): void => {
    for (const path of Object.keys(packages)) mkdirSync(join(folder, path), { recursive: true });
    mkdirSync(join(folder, "node_modules"), { recursive: true });
    writeFileSync(join(folder, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
  };
  const a = { "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } };

  test("a bare clone has nothing", () => {
    lockIs(a);
    expect(staleReason(folder)).toBe("nothing is installed yet");
  });

  test("equal entries match", () => {
    lockIs({ ...a, "packages/x": { version: "0.1.0" } });
    installedIs(a);
    expect(staleReason(folder)).toBeUndefined();
  });

  test("another version does not", () => {
    lockIs({ "node_modules/a": { version: "2.0.0", integrity: "sha512-b" } });
    installedIs(a);
    expect(staleReason(folder)).toBe("node_modules/a is 1.0.0, the lock file wants 2.0.0");
  });

  test("a package that somebody deleted is missed", () => {
    lockIs(a);
    installedIs(a);
    rmSync(join(folder, "node_modules", "a"), { recursive: true });
    expect(staleReason(folder)).toBe("node_modules/a is missing");
  });

  test("an optional one, such as another platform's binary, is not", () => {
    lockIs({ ...a, "node_modules/b": { version: "1.0.0", optional: true } });
    installedIs(a);
    expect(staleReason(folder)).toBeUndefined();
  });

  test("what the lock file no longer holds is too much", () => {
    lockIs({});
    installedIs(a);
    expect(staleReason(folder)).toBe("node_modules/a is not in the lock file");
  });

  test("a lock file that is no JSON is an error, not a reason to install", () => {
    writeFileSync(join(folder, "package-lock.json"), "<<<<<<< ours");
    expect(() => staleReason(folder)).toThrow("package-lock.json is missing or is not JSON");
  });
});
