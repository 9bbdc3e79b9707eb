import type { Random } from "@tulle/time";

/** From when to when a certificate serves its holder, milliseconds since 1970 by the config-server's clock. */
export interface CertificateLife {
  /** When it was received: its life counts from then. */
  readonly receivedMs: number;
  readonly notAfterMs: number;
}

/** The latest moment, as a share of half a life: a little before it, for the time that reconnecting takes after an outage. */
const LATEST = 0.98;

/** How much earlier, as shares of half a life: a little in turn, so that members drift apart; much where many may have come together. */
const SPREAD_IN_TURN = 0.1;
const SPREAD_OUT_OF_TURN = 0.9;

/**
 * When to renew a certificate: shortly before half of its life, so that a config-server may be away for the other half.
 *
 * @param inTurn whether the certificate was itself a renewal in turn. A first certificate, one that was asked for, and one that
 * an outage held up come to many members at one time: from there each goes its own way.
 */
export const renewalTime = ({ receivedMs, notAfterMs }: CertificateLife, inTurn: boolean, random: Random): number => {
  const halfLifeMs = Math.max(0, notAfterMs - receivedMs) / 2;
  return receivedMs + halfLifeMs * (LATEST - (inTurn ? SPREAD_IN_TURN : SPREAD_OUT_OF_TURN) * random());
};

/** Overdue renewals take this share of the outage's length, once it is over. */
const CATCH_UP = 0.9;

/** An outage that a renewal fell into. */
export interface Outage {
  /** When the connection was lost; `undefined` when this process was not there to see it. */
  readonly lostMs: number | undefined;
  readonly nowMs: number;
  /** When the certificate should have been renewed. */
  readonly dueMs: number;
  readonly notAfterMs: number;
}

/**
 * When to make up for a renewal that an outage prevented. All members whose turn fell into it are there at one moment, so they
 * follow one another as they would have, a little faster: who was due first has the least life left, and is first.
 */
export const catchUpTime = ({ lostMs, nowMs, dueMs, notAfterMs }: Outage, random: Random): number => {
  const waitedMs = lostMs === undefined ? random() * (nowMs - dueMs) : dueMs - lostMs;
  return nowMs + CATCH_UP * Math.max(0, Math.min(waitedMs, notAfterMs - nowMs));
};

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/** The longer requests have failed, the rarer they get, to this share of that time: a CA that comes back is not overrun. */
const RETRY_SHARE_OF_DELAY = 0.1;
const RETRY_LONGEST_MS = 900_000;

/** A retry never waits longer than this share of the certificate's life, so that short lives are renewed in time. */
const RETRY_SHARE_OF_LIFE = 0.05;

/** Nor, towards the end, longer than this share of what is left. */
const RETRY_SHARE_OF_REST = 0.25;

/**
 * How long to wait after a request that failed.
 *
 * @param failures in a row, this one included.
 * @param certificate the present one, with the moment of its renewal, if there is one.
 */
export const retryDelay = (
  failures: number,
  certificate: (CertificateLife & { readonly renewAtMs: number }) | undefined,
  nowMs: number,
  random: Random,
): number => {
  const stepMs = RETRY_BASE_MS * 2 ** (failures - 1);
  if (certificate === undefined) return Math.min(stepMs, RETRY_MAX_MS) * (0.5 + random() / 2);
  const { receivedMs, notAfterMs, renewAtMs } = certificate;
  const delayedMs = Math.max(0, nowMs - renewAtMs);
  const restMs = notAfterMs - nowMs;
  const boundMs = Math.min(
    stepMs,
    Math.max(RETRY_MAX_MS, Math.min(delayedMs * RETRY_SHARE_OF_DELAY, RETRY_LONGEST_MS)),
    (notAfterMs - receivedMs) * RETRY_SHARE_OF_LIFE,
    restMs > 0 ? Math.max(RETRY_BASE_MS, restMs * RETRY_SHARE_OF_REST) : RETRY_MAX_MS,
  );
  return boundMs * (0.5 + random() / 2);
};
