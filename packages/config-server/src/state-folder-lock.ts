import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const LOCK_FILE = "lock.db";
const HOLDER_FILE = "lock.pid";

/** SQLite's word for a lock that another connection has. */
const SQLITE_BUSY = 5;

/** Two config-servers on one folder would both be its CA and write over each other's admin file. */
export class StateFolderInUse extends Error {
  override readonly name: string = "StateFolderInUse";
  readonly code: string = "STATE_FOLDER_IN_USE";
  /** Absolute. */
  readonly folder: string;
  /** Of the process that holds the folder, where it could be read. */
  readonly pid: number | undefined;

  constructor(folder: string, pid: number | undefined) {
    super(
      `the state folder ${folder} is in use by another config-server${pid === undefined ? "" : `, process ${pid}`}: end that one first, or give this one a folder of its own`,
    );
    this.folder = folder;
    this.pid = pid;
  }
}

/** A state folder that nobody else may run a config-server on. */
export interface StateFolderLock {
  release(): void;
}

/**
 * Takes a state folder for this config-server alone; makes the folder when it does not exist.
 *
 * The lock is one of the operating system's, through SQLite: it ends with the process however that ended, so there is no stale
 * one to recognise after a SIGKILL, and no process id that was given again. The id beside it is only for the error.
 *
 * @throws StateFolderInUse
 * @throws Error when the folder cannot be made or written to.
 */
export const lockStateFolder = (stateDir: string): StateFolderLock => {
  const folder = resolve(stateDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { DatabaseSync: Database } = process.getBuiltinModule("node:sqlite");
  // Nothing else in this process may open this file: to close it again would end the lock (POSIX).
  const database = new Database(join(folder, LOCK_FILE));
  const holder = join(folder, HOLDER_FILE);
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    chmodSync(join(folder, LOCK_FILE), 0o600);
    writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    database.close();
    throw isBusy(error) ? new StateFolderInUse(folder, readHolder(holder)) : error;
  }
  return { release: () => database.close() };
};

const isBusy = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;

const readHolder = (file: string): number | undefined => {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    // Taken this very moment: the holder has not said yet who it is.
    return undefined;
  }
};
