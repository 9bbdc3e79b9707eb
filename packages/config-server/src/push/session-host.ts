import type { Hello, VersionRange } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { Enrollment } from "../enrollment/enrollment.ts";
import type { Registry } from "../registry/registry.ts";
import type { Published } from "./member-streams.ts";
import type { PushCounters } from "./push-counters.ts";
import type { Session } from "./session.ts";

/** What a session needs of the server that it belongs to. */
export interface SessionHost {
  readonly clock: Clock;
  readonly enrollment: Enrollment;
  readonly registry: Registry;
  readonly published: Published;
  readonly counters: PushCounters;
  readonly pingIntervalMs: number;
  readonly software: string;
  /** Of the protocol, that are spoken with members. */
  readonly versions: VersionRange;
  /**
   * Takes the member in, in place of an earlier session of its own.
   *
   * @throws ProtocolError `identity-mismatch` when its id belongs to another identity.
   */
  admit(session: Session, hello: Hello): void;
  /** The member took or refused a policy, or came. */
  progressed(session: Session): void;
  ended(session: Session, departed: "left" | "lost"): void;
  /** Settles when what was changed before is published: whoever hears of it after that finds it. */
  settled(): Promise<void>;
  /** Something failed that is not the member's fault. */
  failed(error: unknown): void;
}
