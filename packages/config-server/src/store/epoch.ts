import { randomUUID } from "node:crypto";
import type { StateStore } from "./state-store.ts";
import { StoreError } from "./store-error.ts";

/** The name of a new history: random, so that positions of two histories are never compared. */
export const drawEpoch = (): string => randomUUID().slice(0, 8);

/**
 * Lets the history at a head go on under a new name, with the same content at the same number. Members that have seen more of
 * the old one, because the store is older than they are, then take this one in full instead of refusing to go back. Without
 * effect where there is no history yet.
 *
 * @param head a key whose value is JSON with `epoch` and `number`.
 * @throws StoreError `corrupt`, or `contended` when another process wrote it.
 */
export const renewEpoch = async (store: StateStore, head: string): Promise<void> => {
  const entry = await store.get(head);
  if (entry === undefined) return;
  const value = JSON.stringify({ ...readObject(head, entry.value), epoch: drawEpoch() });
  if (await store.commit([{ key: head, version: entry.version }], [{ key: head, value }])) return;
  throw new StoreError("contended", `${head} was written by another process: start again`);
};

const readObject = (key: string, value: string): object => {
  try {
    const found: unknown = JSON.parse(value);
    if (typeof found === "object" && found !== null) return found;
  } catch {
    // Told below.
  }
  throw new StoreError("corrupt", `${key} is no JSON object: restore the store from a backup`);
};
