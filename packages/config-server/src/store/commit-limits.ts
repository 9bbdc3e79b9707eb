import { MAX_COMMIT_BYTES, MAX_COMMIT_OPERATIONS, type StoreCheck, type StoreWrite } from "./state-store.ts";
import { StoreError } from "./store-error.ts";

/** Longest key, in characters. */
export const MAX_KEY_LENGTH = 512;

// Only visible ASCII: then every engine sorts keys alike, and a prefix ends where "\x7f" would follow it.
const keyPattern = /^[\x21-\x7e]+$/;

/** @throws StoreError `bad-key` */
export const checkKey = (key: string): void => {
  if (key.length > MAX_KEY_LENGTH || !keyPattern.test(key)) {
    throw new StoreError(
      "bad-key",
      `store key ${JSON.stringify(key.slice(0, 80))} must be 1 to ${MAX_KEY_LENGTH} visible ASCII characters: encode other characters`,
    );
  }
};

/**
 * Refuses what some engine could not write in one transaction, so that a program tested on one engine works on all.
 *
 * @throws StoreError `bad-key`, `commit-too-large`
 */
export const checkCommit = (checks: readonly StoreCheck[], writes: readonly StoreWrite[]): void => {
  const operations = checks.length + writes.length;
  if (operations > MAX_COMMIT_OPERATIONS) {
    throw new StoreError("commit-too-large", `commit of ${operations} operations: at most ${MAX_COMMIT_OPERATIONS}`);
  }
  let bytes = 0;
  const keys = new Set<string>();
  for (const { key, value } of writes) {
    checkKey(key);
    if (keys.has(key)) throw new StoreError("bad-key", `commit writes ${key} twice`);
    keys.add(key);
    bytes += value === null ? 0 : Buffer.byteLength(value);
  }
  for (const { key } of checks) checkKey(key);
  if (bytes > MAX_COMMIT_BYTES) {
    throw new StoreError("commit-too-large", `commit of ${bytes} bytes of values: at most ${MAX_COMMIT_BYTES}`);
  }
};
