import type { Acknowledgement, Revision } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { Session } from "./session.ts";
import { covers, type StreamProgress } from "./stream-progress.ts";

/** Most callers that may wait for members at a time. */
export const MAX_WAITS = 100;

interface Wait {
  readonly revision: Revision;
  readonly pending: Set<Session>;
  readonly settle: () => void;
}

/** Those who wait until the members have answered a policy revision. */
export class Acknowledgements {
  readonly #clock: Clock;
  readonly #sessions: () => Iterable<Session>;
  readonly #waits = new Set<Wait>();

  /** @param sessions the members that are served now. */
  constructor(clock: Clock, sessions: () => Iterable<Session>) {
    this.#clock = clock;
    this.#sessions = sessions;
  }

  /** Settles when nobody is pending any more, or after `timeoutMs`; at once when too many wait already. */
  wait(revision: Revision, timeoutMs: number): Promise<Acknowledgement> {
    return new Promise((resolve) => {
      const pending = new Set([...this.#sessions()].filter((session) => answerOf(session, revision) === "pending"));
      const settle = (): void => {
        timer.cancel();
        this.#waits.delete(wait);
        resolve(this.#sum(revision));
      };
      const wait: Wait = { revision, pending, settle };
      const timer = this.#clock.after(timeoutMs, settle);
      if (pending.size === 0 || this.#waits.size >= MAX_WAITS) settle();
      else this.#waits.add(wait);
    });
  }

  /** A member came, answered, or went. */
  changed(session: Session): void {
    for (const wait of [...this.#waits]) {
      if (answerOf(session, wait.revision) === "pending") wait.pending.add(session);
      else wait.pending.delete(session);
      if (wait.pending.size === 0) wait.settle();
    }
  }

  gone(session: Session): void {
    for (const wait of [...this.#waits]) {
      if (wait.pending.delete(session) && wait.pending.size === 0) wait.settle();
    }
  }

  close(): void {
    for (const wait of [...this.#waits]) wait.settle();
  }

  #sum(revision: Revision): Acknowledgement {
    const acknowledged: string[] = [];
    const refused: { readonly member: string; readonly reason: string }[] = [];
    const pending: string[] = [];
    for (const session of this.#sessions()) {
      const answer = answerOf(session, revision);
      const member = session.hello?.member.id;
      if (member === undefined) continue;
      if (answer === "acknowledged") acknowledged.push(member);
      else if (answer === "pending") pending.push(member);
      else refused.push({ member, reason: answer.reason });
    }
    return { revision, complete: pending.length === 0, acknowledged, refused, pending };
  }
}

type Answer = "acknowledged" | "pending" | NonNullable<StreamProgress["refusal"]>;

/** An ACK covers all revisions before it; so does a NACK, for who refuses a later one never took this one. */
const answerOf = (session: Session, wanted: Revision): Answer => {
  const progress = session.progress("policy");
  if (progress === undefined) return "pending";
  const { revision, refusal } = progress;
  if (revision !== null && covers(revision, wanted)) return "acknowledged";
  return refusal !== undefined && covers(refusal.revision, wanted) ? refusal : "pending";
};
