import type { Clock, Timer } from "@tulle/time";
import type { AuditEvent, AuditLog } from "./audit-log.ts";

/** Refusals that get a line of their own at once. */
export const REFUSAL_LINES_BURST = 1_000;
/** And then so many a second. At 300 bytes a line the kept files last for half a day of it. */
export const REFUSAL_LINES_PER_SECOND = 10;
/** The others are counted, and the count gets a line this often. */
export const REFUSAL_SUMMARY_MS = 10_000;

const REFUSALS: ReadonlySet<AuditEvent["event"]> = new Set(["join-refused", "certificate-refused", "admin-refused"]);

/**
 * Keeps whoever is refused again and again from filling the log, and so from pushing out what it tells of others: beyond a
 * budget refusals are counted, and the count is recorded.
 */
export const withRefusalBudget = (audit: AuditLog, clock: Clock): AuditLog => {
  let tokens = REFUSAL_LINES_BURST;
  let atMs = clock.now();
  let unrecorded = 0;
  let timer: Timer | undefined;

  const withdraw = (): boolean => {
    const now = clock.now();
    tokens = Math.min(REFUSAL_LINES_BURST, tokens + ((now - atMs) / 1_000) * REFUSAL_LINES_PER_SECOND);
    atMs = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };

  const summarise = async (): Promise<void> => {
    timer?.cancel();
    timer = undefined;
    const count = unrecorded;
    if (count === 0) return;
    unrecorded = 0;
    await audit.record({ event: "refusals-not-recorded", actor: "program", detail: { count } });
  };

  return {
    record: async (event) => {
      if (!REFUSALS.has(event.event) || withdraw()) return audit.record(event);
      unrecorded += 1;
      timer ??= clock.after(REFUSAL_SUMMARY_MS, () => {
        const count = unrecorded;
        // A disk that is full now may have room later: the count is not lost.
        summarise().catch(() => {
          unrecorded += count;
        });
      });
    },
    close: async () => {
      try {
        await summarise();
      } finally {
        await audit.close();
      }
    },
  };
};
