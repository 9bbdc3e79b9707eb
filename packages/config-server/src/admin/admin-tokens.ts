import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { AdminTokenIssued, AdminTokenList } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import { newTokenId } from "../enrollment/token-id.ts";
import type { StateStore, StoreEntry } from "../store/state-store.ts";
import { AdminFailure } from "./admin-failure.ts";

/** What a token may do: `read` what is there, `write` it too; `root` may make and end tokens besides. */
export type AdminScope = "read" | "write" | "root";

/** Who asks the admin API. */
export interface AdminCaller {
  /** In the history and the audit log. */
  readonly actor: string;
  readonly scope: AdminScope;
}

/** What a new token is to be. */
export interface NewAdminToken {
  /** For people. */
  readonly name: string;
  readonly scope: "read" | "write";
  readonly ttlMs: number;
}

/** The secrets that open the admin API: the one of admin.json, which does not end, and others that do. */
export interface AdminTokens {
  /** @throws AdminFailure 401 `unauthorized`, or `token-expired` for one that was good. */
  authenticate(authorization: string | undefined): Promise<AdminCaller>;
  /** @throws AdminFailure 409 `too-many-tokens`. */
  create(order: NewAdminToken): Promise<AdminTokenIssued>;
  list(): Promise<AdminTokenList["tokens"]>;
  /** @returns false when there is no such token. */
  revoke(id: string): Promise<boolean>;
  /** Ends the token of admin.json, and hands a new one to `keep`, which writes it. */
  rotate(): Promise<void>;
}

/** What admin tokens are made with. */
export interface AdminTokensOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  /** The token of admin.json. */
  readonly root: string;
  /** Writes admin.json anew. */
  readonly keep: (root: string) => Promise<void>;
}

/** More do not exist at a time. */
export const MAX_ADMIN_TOKENS = 1_000;

/** An expired token stays listed for a day. */
const REMEMBERED_MS = 24 * 3_600_000;
const PREFIX = "admin-tokens/";
const TEXT = /^tulle-admin\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})$/;

interface AdminTokenRecord {
  readonly name: string;
  readonly scope: "read" | "write";
  readonly expiresAtMs: number;
  /** SHA-256 of the secret, base64url: whoever reads the store has no token. */
  readonly hash: string;
  readonly revoked?: true;
}

/** Opens the admin tokens of a config-server. */
export const openAdminTokens = ({ store, clock, root, keep }: AdminTokensOptions): AdminTokens => {
  let rootDigest = digest(root);

  const byRecord = async (id: string, secret: string): Promise<AdminCaller> => {
    const entry = await store.get(`${PREFIX}${id}`);
    const record = entry === undefined ? undefined : recordOf(entry);
    // Compared also where there is none, so that the time tells nothing about which ids exist.
    const right = timingSafeEqual(digest(secret), Buffer.from(record?.hash ?? NOBODYS, "base64url"));
    if (record === undefined || !right || record.revoked) throw unauthorized();
    if (record.expiresAtMs <= clock.wallNow()) {
      throw new AdminFailure(
        401,
        {
          error: "token-expired",
          message: `the admin token ${id} expired at ${new Date(record.expiresAtMs).toISOString()}`,
        },
        { "www-authenticate": "Bearer" },
      );
    }
    return { actor: `admin:${record.name}`, scope: record.scope };
  };

  return {
    authenticate: async (authorization = "") => {
      const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? "";
      // Digests have one length, so the comparison tells nothing about the token.
      if (timingSafeEqual(digest(token), rootDigest)) return { actor: "admin", scope: "root" };
      const [, id, secret] = TEXT.exec(token) ?? [];
      if (id === undefined || secret === undefined) throw unauthorized();
      return byRecord(id, secret);
    },
    create: async ({ name, scope, ttlMs }) => {
      const entries = await store.list(PREFIX);
      const forgotten = entries.filter((entry) => recordOf(entry).expiresAtMs + REMEMBERED_MS < clock.wallNow());
      for (const { key, version } of forgotten) await store.commit([{ key, version }], [{ key, value: null }]);
      if (entries.length - forgotten.length >= MAX_ADMIN_TOKENS) {
        throw new AdminFailure(409, {
          error: "too-many-tokens",
          message: `there are ${MAX_ADMIN_TOKENS} admin tokens already: use shorter lives`,
        });
      }
      const id = newTokenId();
      const secret = randomBytes(32).toString("base64url");
      const expiresAtMs = clock.wallNow() + ttlMs;
      const record: AdminTokenRecord = { name, scope, expiresAtMs, hash: digest(secret).toString("base64url") };
      const key = `${PREFIX}${id}`;
      await store.commit([{ key, version: 0 }], [{ key, value: JSON.stringify(record) }]);
      return { id, token: `tulle-admin.${id}.${secret}`, expiresAtMs };
    },
    list: async () =>
      (await store.list(PREFIX)).map((entry) => {
        const { name, scope, expiresAtMs, revoked } = recordOf(entry);
        const state = revoked ? "revoked" : expiresAtMs <= clock.wallNow() ? "expired" : "valid";
        return { id: entry.key.slice(PREFIX.length), name, scope, expiresAtMs, state };
      }),
    revoke: async (id) => {
      const key = `${PREFIX}${id}`;
      for (;;) {
        const entry = await store.get(key);
        if (entry === undefined) return false;
        const record = recordOf(entry);
        if (record.revoked) return true;
        const value = JSON.stringify({ ...record, revoked: true } satisfies AdminTokenRecord);
        if (await store.commit([{ key, version: entry.version }], [{ key, value }])) return true;
      }
    },
    rotate: async () => {
      const next = newRootToken();
      // First where its owner finds it: whoever could not write it has not locked everybody out.
      await keep(next);
      rootDigest = digest(next);
    },
  };
};

/** A new token for admin.json: 256 bits. */
export const newRootToken = (): string => randomBytes(32).toString("base64url");

const NOBODYS = digest(randomBytes(32).toString("base64url")).toString("base64url");

const unauthorized = (): AdminFailure =>
  new AdminFailure(
    401,
    { error: "unauthorized", message: "send authorization: Bearer <token of admin.json in the state folder>" },
    { "www-authenticate": "Bearer" },
  );

// Only this file writes these records.
const recordOf = ({ value }: StoreEntry): AdminTokenRecord => JSON.parse(value) as AdminTokenRecord;

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
