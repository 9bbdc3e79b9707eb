import { MAX_PLAINTEXT_CALLERS, PLAINTEXT_CALLERS_FEATURE, type PlaintextCallers } from "@tulle/protocol";
import type { Session } from "./session.ts";

/** A caller without an identity, as the receiving side tells of it. */
export interface SeenCaller {
  readonly address: string;
  readonly userAgent: string | undefined;
  readonly transport: "plaintext" | "tls";
  readonly requests: number;
  /** Clock milliseconds. */
  readonly lastSeenMs: number;
}

/** Tells the config-server who called without an identity: what it was not told on this connection, and nothing twice. */
export class PlaintextReporter {
  #session: Session | undefined;
  #said = "[]";

  report(session: Session, callers: readonly SeenCaller[], nowMs: number): void {
    if (!session.welcome.features.includes(PLAINTEXT_CALLERS_FEATURE)) return;
    const told = callers.slice(0, MAX_PLAINTEXT_CALLERS);
    const text = JSON.stringify(told);
    if (session !== this.#session) this.#said = "[]";
    this.#session = session;
    if (text === this.#said) return;
    this.#said = text;
    session.send({ type: "plaintext-callers", callers: told.map((caller) => reported(caller, nowMs)) });
  }
}

const reported = (
  { lastSeenMs, userAgent, ...caller }: SeenCaller,
  nowMs: number,
): PlaintextCallers["callers"][number] => ({
  ...caller,
  ...(userAgent === undefined ? {} : { userAgent }),
  lastSeenAgoMs: Math.max(0, Math.round(nowMs - lastSeenMs)),
});
