import { type KeySet, readKeySet } from "./key-set.ts";

/** Where a rule has its keys from. */
export interface IssuerKeys {
  /** The keys that may be used now; `undefined` while there are none. */
  current(): KeySet | undefined;
  /** Waits for keys where there are none; `undefined`: there are none to be had. */
  arrival(): Promise<KeySet | undefined>;
  /** Asks for newer keys because a token names one that is not among them; what there is where that is not to be. */
  renewed(): Promise<KeySet | undefined>;
}

/** Keys that stand in the policy. @throws Error when they are none. */
export const fixedKeys = (jwks: string): IssuerKeys => {
  const keys = readKeySet(jwks);
  return { current: () => keys, arrival: async () => keys, renewed: async () => keys };
};
