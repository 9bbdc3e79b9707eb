/**
 * The three independent streams. A refusal (NACK) holds back only its own stream: a member that cannot take a policy must
 * still learn of dead endpoints and new roots.
 */
export const streams = ["policy", "endpoints", "trust"] as const;

/** One of {@link streams}. */
export type Stream = (typeof streams)[number];

/**
 * A position in a stream: `epoch.number`. The epoch is random per history of the store, the number counts up in commit
 * order. Positions of different epochs cannot be compared; a new epoch forces a full resync.
 */
export type Revision = `${string}.${number}`;

/** Splits a revision, or `undefined` when the text is none. */
export const parseRevision = (text: string): { readonly epoch: string; readonly number: number } | undefined => {
  const dot = text.lastIndexOf(".");
  const number = Number(text.slice(dot + 1));
  return dot > 0 && dot < text.length - 1 && Number.isSafeInteger(number) && number >= 0
    ? { epoch: text.slice(0, dot), number }
    : undefined;
};
