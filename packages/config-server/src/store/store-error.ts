/** What can be wrong with a store, apart from a check of a commit that does not hold. */
export type StoreErrorCode =
  /** The store was used after `close`. */
  | "closed"
  /** A key that no engine could keep. */
  | "bad-key"
  /** A commit above the limits of `state-store.ts`. */
  | "commit-too-large"
  /** The file was written by a newer version of this software. */
  | "newer-schema"
  /** What was read is not what was written. */
  | "corrupt"
  /** Others kept writing for as long as we tried. */
  | "contended";

/** Thrown by state stores and by the policy store over them. */
export class StoreError extends Error {
  override readonly name: string = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
