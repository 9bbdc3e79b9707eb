import type { KeyStore } from "../authority/key-store.ts";
import { newRootToken } from "./admin-tokens.ts";

/** What a client of the admin API needs; `admin.json` in the state folder, mode 0600. */
export interface AdminFile {
  /** Such as `https://127.0.0.1:7118`. */
  readonly url: string;
  readonly token: string;
  /** Root certificates, PEM. */
  readonly ca: string;
}

const FILE = "admin.json";

/** The admin token of the last start, or a new one: a restart does not lock anybody out. `tulle admin rotate` changes it. */
export const adminToken = async (files: KeyStore): Promise<string> => {
  const stored = await files.read(FILE);
  const known = stored === undefined ? undefined : tokenIn(stored);
  return known ?? newRootToken();
};

/** Writes the file once the address is known. */
export const writeAdminFile = (files: KeyStore, content: AdminFile): Promise<void> =>
  files.write(FILE, `${JSON.stringify(content, undefined, 2)}\n`);

const tokenIn = (text: string): string | undefined => {
  try {
    const content: unknown = JSON.parse(text);
    const token = typeof content === "object" && content !== null && "token" in content ? content.token : undefined;
    return typeof token === "string" && token.length >= 32 ? token : undefined;
  } catch {
    return undefined;
  }
};
