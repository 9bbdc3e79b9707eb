import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Where the config-server keeps what must stay secret. Contents are never logged. */
export interface KeyStore {
  /** @param name a plain file name, such as `ca-key.pem`. */
  read(name: string): Promise<string | undefined>;
  /** Replaces the whole content, or leaves the old one: never half of each. */
  write(name: string, content: string): Promise<void>;
  /** Without effect when there is no such file. */
  remove(name: string): Promise<void>;
}

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/**
 * Keys as files that only their owner may read, in a folder that only their owner may enter.
 *
 * @throws Error when the folder cannot be made or written to.
 */
export const openFileKeyStore = async (folder: string): Promise<KeyStore> => {
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
  return {
    read: async (name) => {
      try {
        const file = join(folder, name);
        const content = await readFile(file, "utf8");
        // A backup or a copy may have come back with wider rights.
        await chmod(file, OWNER_ONLY_FILE);
        return content;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    write: async (name, content) => {
      const temporary = join(folder, `.${name}.${randomBytes(6).toString("hex")}`);
      const file = await open(temporary, "wx", OWNER_ONLY_FILE);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, join(folder, name));
    },
    remove: (name) => rm(join(folder, name), { force: true }),
  };
};

/** Keys that end with the process. */
export const memoryKeyStore = (): KeyStore => {
  const contents = new Map<string, string>();
  return {
    read: async (name) => contents.get(name),
    write: async (name, content) => void contents.set(name, content),
    remove: async (name) => void contents.delete(name),
  };
};

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";
