import { randomUUID } from "node:crypto";
import { type Policy, type PolicyKey, policyKey } from "@tulle/policy";
import { type ApplyResult, type HistoryEntry, type PolicyChange, parseRevision, type Revision } from "@tulle/protocol";
import { type Clock, Watchable, type Watched } from "@tulle/time";
import { changePolicies } from "./change-policies.ts";
import { drawEpoch } from "./epoch.ts";
import type { PolicyChangeSet, PolicyRevision, PolicyStore } from "./policy-store.ts";
import { decodePolicies, encodePolicies, MAX_CHUNKS } from "./revision-codec.ts";
import { MAX_COMMIT_BYTES, type StateStore, type StoreCheck, type StoreEntry, type StoreWrite } from "./state-store.ts";
import { StoreError } from "./store-error.ts";

/*
 * Keys, all below `policy/`:
 *
 *   head                     the newest revision: { epoch, number }
 *   revisions/<number>       what the history tells, and where the content is: RevisionRecord
 *   attempts/<attempt>       content is being written, or its writer died: removed by the commit that moves the head
 *   content/<attempt>/<i>    a piece of a revision's content, written before anything names it
 */
/** Where the name and the newest position of the policies are. */
export const POLICY_HEAD = "policy/head";
const ATTEMPTS = "policy/attempts/";
const recordKey = (number: number): string => `policy/revisions/${number}`;
const attemptKey = (attempt: string): string => `${ATTEMPTS}${attempt}`;
const chunkKey = (attempt: string, index: number): string => `policy/content/${attempt}/${index}`;

/** Writers that lose a race begin again, but not for ever. */
const MAX_TRIES = 20;

/** Most entries of one answer of the history: each is one read of the store. */
const MAX_HISTORY = 1_000;

/** What a record may hold, so that with head and mark it fits into one commit. */
const MAX_RECORD_BYTES = MAX_COMMIT_BYTES - 4_096;

interface Head {
  readonly epoch: string;
  readonly number: number;
}

interface RevisionRecord {
  readonly attempt: string;
  readonly chunks: number;
  readonly atMs: number;
  readonly author: string;
  readonly message: string;
  readonly changes: readonly PolicyChange[];
}

/**
 * Opens the history of policies in a store, or begins one: `<random epoch>.0`, without any policy. What a writer that died
 * left behind is removed.
 *
 * A revision is written in two steps: its content under keys that nobody reads yet, then one compare-and-set that moves the
 * head. So a reader never sees half of one, and a crash between the steps leaves nothing but waste.
 *
 * @param clock for the moments that the history tells.
 * @throws StoreError `corrupt` when the head cannot be read.
 */
export const openPolicyStore = async (store: StateStore, clock: Clock): Promise<PolicyStore> => {
  await removeOrphans(store);
  const entry = (await store.get(POLICY_HEAD)) ?? (await beginHistory(store));
  return RevisionedPolicyStore.open(store, clock, readHead(entry));
};

const beginHistory = async (store: StateStore): Promise<StoreEntry> => {
  const head: Head = { epoch: drawEpoch(), number: 0 };
  await store.commit([{ key: POLICY_HEAD, version: 0 }], [{ key: POLICY_HEAD, value: JSON.stringify(head) }]);
  const entry = await store.get(POLICY_HEAD);
  if (entry === undefined) throw new StoreError("corrupt", `${POLICY_HEAD} was written and is not there`);
  return entry;
};

/** The mark of an attempt goes first: its writer, if it lives after all, then fails to move the head and begins again. */
const removeOrphans = async (store: StateStore): Promise<void> => {
  for (const { key, value, version } of await store.list(ATTEMPTS)) {
    if (!(await store.commit([{ key, version }], [{ key, value: null }]))) continue;
    await removeContent(store, key.slice(ATTEMPTS.length), Number(value));
  }
};

const removeContent = async (store: StateStore, attempt: string, chunks: number): Promise<void> => {
  for (let index = 0; index < chunks; index++) {
    await store.commit([], [{ key: chunkKey(attempt, index), value: null }]);
  }
};

class RevisionedPolicyStore implements PolicyStore {
  readonly head: Watched<PolicyRevision>;
  readonly #head: Watchable<PolicyRevision>;
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #epoch: string;
  readonly #unwatch: () => void;
  #catchingUp: Promise<void> = Promise.resolve();

  static async open(store: StateStore, clock: Clock, head: Head): Promise<PolicyStore> {
    const policies = new RevisionedPolicyStore(store, clock, head.epoch, await readRevision(store, head));
    // Between the read and the watch another writer may have been at work.
    await policies.#catchUp();
    return policies;
  }

  private constructor(store: StateStore, clock: Clock, epoch: string, present: PolicyRevision) {
    this.#store = store;
    this.#clock = clock;
    this.#epoch = epoch;
    this.#head = new Watchable(present);
    this.head = this.#head;
    this.#unwatch = store.watch(POLICY_HEAD, ({ entry }) => {
      if (entry === undefined || readHead(entry).number <= numberOf(this.#head.current)) return;
      // A read that fails here leaves the head where it is; the next apply reads again and tells its caller.
      this.#catchUp().catch(() => undefined);
    });
  }

  async apply(
    change: PolicyChangeSet,
    review: (candidate: ReadonlyMap<PolicyKey, Policy>) => void,
  ): Promise<ApplyResult> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const base = this.#head.current;
      const { policies, changes } = changePolicies(base.policies, change.puts, change.deletes);
      review(policies);
      if (changes.every((each) => each.change === "unchanged")) {
        return { revision: base.revision, changes, warnings: [] };
      }
      const written = await this.#write(base, policies, { changes, author: change.author, message: change.message });
      if (written !== undefined) return { revision: written, changes, warnings: [] };
      await this.#catchUp();
    }
    throw new StoreError("contended", `other writers were faster ${MAX_TRIES} times: apply again`);
  }

  async history(limit: number): Promise<readonly HistoryEntry[]> {
    const newest = numberOf(this.#head.current);
    const entries: HistoryEntry[] = [];
    for (let number = newest; number > 0 && entries.length < Math.min(limit, MAX_HISTORY); number--) {
      const { atMs, author, message, changes } = await readRecord(this.#store, number);
      entries.push({ revision: this.#revision(number), atMs, author, message, changes });
    }
    return entries;
  }

  async at(revision: string): Promise<PolicyRevision | undefined> {
    const wanted = /^\d+$/.test(revision) ? { epoch: this.#epoch, number: Number(revision) } : parseRevision(revision);
    if (wanted === undefined || wanted.epoch !== this.#epoch) return undefined;
    // Another writer told its caller of it before our watch did.
    if (wanted.number > numberOf(this.#head.current)) await this.#catchUp();
    const present = this.#head.current;
    if (wanted.number > numberOf(present)) return undefined;
    return wanted.number === numberOf(present) ? present : readRevision(this.#store, wanted);
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#head.close();
    await this.#catchingUp;
  }

  /** @returns the new revision, or `undefined` when the head is no longer at `base`. */
  async #write(
    base: PolicyRevision,
    policies: ReadonlyMap<PolicyKey, Policy>,
    told: Pick<RevisionRecord, "changes" | "author" | "message">,
  ): Promise<Revision | undefined> {
    const entry = await this.#store.get(POLICY_HEAD);
    const number = numberOf(base) + 1;
    if (entry === undefined || readHead(entry).number !== number - 1) return undefined;
    const attempt = randomUUID();
    const chunks = await encodePolicies([...policies.values()]);
    if (chunks.length > MAX_CHUNKS) {
      throw new StoreError(
        "commit-too-large",
        `${policies.size} policies make ${chunks.length} chunks: at most ${MAX_CHUNKS}`,
      );
    }
    const record = JSON.stringify({
      attempt,
      chunks: chunks.length,
      atMs: this.#clock.wallNow(),
      ...told,
      changes: told.changes.filter(({ change }) => change !== "unchanged"),
    } satisfies RevisionRecord);
    if (Buffer.byteLength(record) > MAX_RECORD_BYTES) {
      throw new StoreError(
        "commit-too-large",
        `${told.changes.length} changes are too many for one revision: apply them in parts`,
      );
    }
    const mark = await this.#markAttempt(attempt, chunks.length);
    for (const [index, value] of chunks.entries()) {
      await this.#store.commit([], [{ key: chunkKey(attempt, index), value }]);
    }
    const head: Head = { epoch: this.#epoch, number };
    const checks: StoreCheck[] = [{ key: POLICY_HEAD, version: entry.version }, mark];
    const writes: StoreWrite[] = [
      { key: POLICY_HEAD, value: JSON.stringify(head) },
      { key: recordKey(number), value: record },
      { key: attemptKey(attempt), value: null },
    ];
    const next: PolicyRevision = { revision: this.#revision(number), policies };
    if (await this.#store.commit(checks, writes)) {
      this.#advance(next);
      return next.revision;
    }
    await this.#store.commit([], [{ key: attemptKey(attempt), value: null }]);
    await removeContent(this.#store, attempt, chunks.length);
    return undefined;
  }

  async #markAttempt(attempt: string, chunks: number): Promise<StoreCheck> {
    const key = attemptKey(attempt);
    await this.#store.commit([{ key, version: 0 }], [{ key, value: String(chunks) }]);
    return { key, version: (await this.#store.get(key))?.version ?? 0 };
  }

  /** Reads what other writers wrote, one read at a time. */
  #catchUp(): Promise<void> {
    const next = this.#catchingUp.then(async () => {
      const entry = await this.#store.get(POLICY_HEAD);
      if (entry === undefined) return;
      const head = readHead(entry);
      if (head.number > numberOf(this.#head.current)) this.#advance(await readRevision(this.#store, head));
    });
    // Whoever waits for this one read hears of its failure; the next read must not fail for it.
    this.#catchingUp = next.catch(() => undefined);
    return next;
  }

  #advance(to: PolicyRevision): void {
    if (numberOf(to) > numberOf(this.#head.current)) this.#head.set(to);
  }

  #revision(number: number): Revision {
    return `${this.#epoch}.${number}`;
  }
}

const numberOf = ({ revision }: PolicyRevision): number => parseRevision(revision)?.number ?? 0;

const readHead = ({ key, value }: StoreEntry): Head => parse<Head>(key, value);

const readRecord = async (store: StateStore, number: number): Promise<RevisionRecord> => {
  const entry = await store.get(recordKey(number));
  if (entry === undefined) throw new StoreError("corrupt", `revision ${number} of the policies has no record`);
  return parse<RevisionRecord>(entry.key, entry.value);
};

const readRevision = async (store: StateStore, { epoch, number }: Head): Promise<PolicyRevision> => {
  const revision: Revision = `${epoch}.${number}`;
  if (number === 0) return { revision, policies: new Map() };
  const { attempt, chunks } = await readRecord(store, number);
  const pieces = await Promise.all(Array.from({ length: chunks }, (_, index) => store.get(chunkKey(attempt, index))));
  try {
    const policies = await decodePolicies(pieces.map((piece) => piece?.value ?? ""));
    return { revision, policies: new Map(policies.map((policy) => [policyKey(policy), policy])) };
  } catch (cause) {
    throw new StoreError(
      "corrupt",
      `revision ${revision} of the policies cannot be read: restore the store from a backup`,
      { cause },
    );
  }
};

/** What this file wrote itself is parsed without a shape check; damage is told with the key where it is. */
const parse = <T>(key: string, value: string): T => {
  try {
    return JSON.parse(value) as T; // written below this key by this file only
  } catch (cause) {
    throw new StoreError("corrupt", `${key} is not JSON: restore the store from a backup`, { cause });
  }
};
