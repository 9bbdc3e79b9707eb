import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";

/** Members that may share one state folder: the workers of a cluster, or processes that were given the same folder. */
const MAX_SLOTS = 64;

const LOCK_FILE = "lock";

/** Who holds a slot. A number alone would be taken for the holder's when the system gives it to another process. */
interface Holder {
  readonly pid: number;
  /** When the process started, where the system tells it (Linux). */
  readonly startedAt: string | undefined;
}

/**
 * One slot of the state folder, locked by this process: `<folder>/member-<n>`. Each process takes the first free slot, so
 * that workers never share files, and a worker that is started anew finds what a dead one left. Mode 0700, files 0600.
 */
export class StateFolder {
  readonly path: string;
  /** Which slot it is, from 0. */
  readonly slot: number;

  private constructor(path: string, slot: number) {
    this.path = path;
    this.slot = slot;
  }

  /**
   * Takes the first free slot.
   *
   * @throws Error of the file system, and when all 64 slots are held by living processes.
   */
  static take(folder: string): StateFolder {
    for (let slot = 0; slot < MAX_SLOTS; slot++) {
      const path = join(folder, `member-${slot}`);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      if (lock(join(path, LOCK_FILE))) return new StateFolder(path, slot);
    }
    throw new Error(`all ${MAX_SLOTS} slots of ${folder} are held by living processes`);
  }

  /** The text of a file, or `undefined` when there is none. @throws Error of the file system. */
  read(name: string): string | undefined {
    try {
      return readFileSync(join(this.path, name), "utf8");
    } catch (error) {
      if (isCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /** Replaces a file as one step: whoever reads it finds the old text or the new one. @throws Error of the file system. */
  async write(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    const temporary = `${path}.new`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  }

  /** Gives the slot back. */
  release(): void {
    rmSync(join(this.path, LOCK_FILE), { force: true });
  }
}

const lock = (path: string): boolean => {
  if (create(path)) return true;
  const found = readLock(path);
  if (found === undefined) return create(path);
  if (isHeld(found.holder)) return false;
  // Two processes may find the same dead holder: only one of them can move its lock away.
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isCode(error, "ENOENT")) return create(path);
    throw error;
  }
  if (readLock(aside)?.text !== found.text) {
    // The lock was not the dead one any more: another process was faster, and gets its own back.
    linkSync(aside, path);
    rmSync(aside);
    return false;
  }
  rmSync(aside);
  return create(path);
};

/** The lock appears with its content or not at all: one that is empty for a moment would look like a dead one. */
const create = (path: string): boolean => {
  const holder: Holder = { pid: process.pid, startedAt: startOf(process.pid) };
  const own = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(own, JSON.stringify(holder), { mode: 0o600, flush: true });
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    rmSync(own);
  }
};

const readLock = (path: string): { readonly text: string; readonly holder: Partial<Holder> } | undefined => {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    const holder: unknown = JSON.parse(text);
    // Its fields are compared, not trusted.
    return { text, holder: typeof holder === "object" && holder !== null ? (holder as Partial<Holder>) : {} };
  } catch {
    // A process died while it wrote the lock: nobody holds it.
    return { text, holder: {} };
  }
};

const isHeld = ({ pid, startedAt }: Partial<Holder>): boolean => {
  if (typeof pid !== "number" || !isAlive(pid)) return false;
  // Where the system does not tell starts, our own number in an old lock is a predecessor's: containers give it again.
  return startedAt === undefined ? pid !== process.pid : startedAt === startOf(pid);
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, "EPERM");
  }
};

/** The start of a process in ticks since boot: field 22 of /proc/<pid>/stat, counted behind the name, which may hold spaces. */
const startOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
