import type { KeyStore } from "./key-store.ts";

/**
 * Where a root stands:
 *
 * - `prepared`: made, and trusted nowhere;
 * - `distributing`: in the bundle of every member, and signing nothing;
 * - `active`: in the bundle, and signing;
 * - `retiring`: in the bundle for the leaves that were signed under it, and signing nothing any more.
 */
export type RootState = "prepared" | "distributing" | "active" | "retiring";

/** One root of our own trust domain. */
export interface RootRecord {
  /** The first 16 hexadecimal digits of the SHA-256 of its SubjectPublicKeyInfo. */
  readonly id: string;
  /** PEM. */
  readonly certificate: string;
  /** Its key in the key store. Absent where the key is not ours: a root above a given CA, or one that is only trusted. */
  readonly keyFile?: string;
  readonly state: RootState;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** The longest life that a leaf under it was ever given. */
  readonly longestLeafMs: number;
  /** Of a retiring root: when the last leaf under it ends. */
  readonly leavesUntilMs?: number;
}

/** A CA between a root and the leaves; peers may have to be told of it, and chains under it are checked by it. */
export interface IntermediateRecord {
  /** PEM. */
  readonly certificate: string;
  /** When the last leaf under it ends; absent while it signs. */
  readonly leavesUntilMs?: number;
}

/** All that the CA knows beside its keys. Immutable; written whole. */
export interface AuthorityState {
  readonly trustDomain: string;
  readonly roots: readonly RootRecord[];
  readonly intermediates: readonly IntermediateRecord[];
}

/** The one file that decides. Keys are written before it names them, so a crash in between leaves a key that nobody uses. */
const STATE_FILE = "authority.json";
/** A copy of the bundle for `openssl`; before there was a state file, this and {@link FIRST_KEY_FILE} were the CA. */
const BUNDLE_FILE = "ca.pem";
/** The first root's key. */
export const FIRST_KEY_FILE = "ca-key.pem";

const FORM = 1;

/** What an earlier version left: roots, the issuing one first, and its key. */
export interface EarlierAuthority {
  readonly bundle: string;
}

/** @returns the state, or what an earlier version kept in its place, or `undefined` on the first start. */
export const readAuthorityState = async (
  keyStore: KeyStore,
): Promise<AuthorityState | EarlierAuthority | undefined> => {
  const text = await keyStore.read(STATE_FILE);
  if (text !== undefined) return parse(text);
  const [bundle, key] = [await keyStore.read(BUNDLE_FILE), await keyStore.read(FIRST_KEY_FILE)];
  if (bundle === undefined && key === undefined) return undefined;
  if (bundle === undefined || key === undefined) {
    const [missing, present] = bundle === undefined ? [BUNDLE_FILE, FIRST_KEY_FILE] : [FIRST_KEY_FILE, BUNDLE_FILE];
    throw new Error(`the state folder holds ${present} but no ${missing}: restore it from a backup, or remove both`);
  }
  return { bundle };
};

/** Writes the state, then the copy of the bundle. */
export const writeAuthorityState = async (keyStore: KeyStore, state: AuthorityState): Promise<void> => {
  await keyStore.write(STATE_FILE, `${JSON.stringify({ form: FORM, ...state }, undefined, 2)}\n`);
  await keyStore.write(BUNDLE_FILE, bundleOf(state).join(""));
};

/** The roots that members are to trust, PEM, the issuing one first. */
export const bundleOf = ({ roots }: AuthorityState): readonly string[] =>
  roots
    .filter(({ state }) => state !== "prepared")
    .toSorted((a, b) => Number(b.state === "active") - Number(a.state === "active"))
    .map(({ certificate }) => certificate);

const parse = (text: string): AuthorityState => {
  try {
    const { form, ...state } = JSON.parse(text);
    if (form !== FORM || !Array.isArray(state.roots)) throw new Error(`it has not the form ${FORM}`);
    // Only this file writes it, whole or not at all.
    return state as AuthorityState;
  } catch (error) {
    throw new Error(`${STATE_FILE} in the state folder cannot be read: restore it from a backup`, { cause: error });
  }
};
