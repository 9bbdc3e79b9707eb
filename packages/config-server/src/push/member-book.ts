import { type Acknowledgement, type Hello, type MemberStatus, ProtocolError, type Revision } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import { Acknowledgements } from "./acknowledgements.ts";
import type { MemberCallers, Members } from "./members.ts";
import type { Session } from "./session.ts";

/** Members that were lost and are still told of; of more, the oldest are forgotten. */
const MAX_LOST = 1_000;

/** Who is served, and who was lost. A member is known by its namespace and its id. */
export class MemberBook implements Members {
  readonly #sessions = new Map<string, Session>();
  readonly #lost = new Map<string, MemberStatus>();
  readonly #acknowledgements: Acknowledgements;

  constructor(clock: Clock) {
    this.#acknowledgements = new Acknowledgements(clock, () => this.#sessions.values());
  }

  get sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  get size(): number {
    return this.#sessions.size;
  }

  list(): readonly MemberStatus[] {
    const served = [...this.#sessions.values()].flatMap((session) => session.status(true) ?? []);
    return [...served, ...this.#lost.values()];
  }

  acknowledgement(revision: Revision, timeoutMs: number): Promise<Acknowledgement> {
    return this.#acknowledgements.wait(revision, timeoutMs);
  }

  plaintextCallers(): readonly MemberCallers[] {
    return [...this.#sessions.values()].flatMap((session) => session.callers ?? []);
  }

  renew(memberId?: string, withinMs?: number): readonly string[] {
    const asked: string[] = [];
    for (const session of this.#sessions.values()) {
      const id = session.hello?.member.id;
      if (id === undefined || (memberId !== undefined && id !== memberId)) continue;
      session.askToRenew(withinMs);
      asked.push(id);
    }
    return asked;
  }

  /**
   * Takes a member in. An earlier connection of the same member ends as `replaced`: after a partition the member is back
   * before the server notices that it was gone.
   *
   * @throws ProtocolError `identity-mismatch` when the id belongs to another identity.
   */
  admit(session: Session, { member }: Hello): void {
    const key = keyOf(member);
    const before = this.#sessions.get(key);
    if (before !== undefined && before.identity.spiffeId !== session.identity.spiffeId) {
      throw new ProtocolError(
        "identity-mismatch",
        `member ${member.id} is connected as ${before.identity.spiffeId}: ${session.identity.spiffeId} needs an id of its own`,
      );
    }
    before?.refuse("replaced", `another connection says that it is member ${member.id}`);
    this.#lost.delete(key);
    this.#sessions.set(key, session);
  }

  progressed(session: Session): void {
    this.#acknowledgements.changed(session);
  }

  ended(session: Session, departed: "left" | "lost"): void {
    const key = session.hello === undefined ? undefined : keyOf(session.hello.member);
    if (key === undefined || this.#sessions.get(key) !== session) return;
    this.#sessions.delete(key);
    const status = departed === "lost" ? session.status(false) : undefined;
    if (status !== undefined) this.#lost.set(key, status);
    for (const oldest of this.#lost.keys()) {
      if (this.#lost.size <= MAX_LOST) break;
      this.#lost.delete(oldest);
    }
    this.#acknowledgements.gone(session);
  }

  close(): void {
    this.#acknowledgements.close();
  }
}

const keyOf = ({ namespace, id }: Hello["member"]): string => `${namespace}/${id}`;
