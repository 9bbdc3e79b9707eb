import { fallsWithin, MeshError, type ServiceKey, shadowAuthority } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import { headerOf, MeshCall } from "../call.ts";
import { BlobBody, isWholeBody, REPLAY_BOUND_BYTES } from "../retry/replay-body.ts";
import type { Call, CallPlan, Layer, Send } from "../send.ts";

/** What mirroring tells; totals over the life of the client. */
export interface MirrorCounters {
  /** Copies that were sent. */
  mirrored: number;
  /** Copies that were not sent because as many as the policy allows were under way. */
  mirrorsOverLimit: number;
  /** Copies that were not sent because the body is a stream, or larger than 64 KiB. */
  mirrorsWithoutBody: number;
  /** Copies that were not sent because this member did not know the service yet. */
  mirrorsUndiscovered: number;
  /** Copies that were sent and failed by the mesh; an answer of whatever status is none. */
  mirrorsFailed: number;
}

/** What {@link Mirrors} is made of. */
export interface MirrorsKit {
  readonly clock: Clock;
  readonly counters: MirrorCounters;
  /** Asks for a service that this member does not know yet. */
  readonly discover: (service: ServiceKey, signal?: AbortSignal) => Promise<void>;
}

/** After a service could not be learned, calls that are to be copied there do not ask for it again for so long: 10 s. */
const ASK_AGAIN_MS = 10_000;

/** All copies that are under way. Outlives the rules, so that an apply frees no places. */
export class Mirrors {
  readonly #kit: MirrorsKit;
  readonly #inFlight = new Map<string, number>();
  readonly #copies = new Set<Call>();
  /** Services that are being asked for, or when they may be asked for again; as many as policies name. */
  readonly #asked = new Map<ServiceKey, number>();
  readonly #closing = new AbortController();

  constructor(kit: MirrorsKit) {
    this.#kit = kit;
  }

  /** Copies under way. */
  get size(): number {
    return this.#copies.size;
  }

  /** Whether one more copy may go to a destination. */
  hasRoom(destination: string, max: number): boolean {
    return !this.#closing.signal.aborted && (this.#inFlight.get(destination) ?? 0) < max;
  }

  /** Sends a copy and forgets it: whatever becomes of it is a number. */
  send(destination: string, copy: Call, send: Send): void {
    const { counters } = this.#kit;
    counters.mirrored++;
    this.#copies.add(copy);
    this.#inFlight.set(destination, (this.#inFlight.get(destination) ?? 0) + 1);
    const over = (error: unknown): void => {
      if (!this.#copies.delete(copy)) return;
      if (error !== undefined) counters.mirrorsFailed++;
      const left = (this.#inFlight.get(destination) ?? 1) - 1;
      if (left === 0) this.#inFlight.delete(destination);
      else this.#inFlight.set(destination, left);
    };
    send(copy).then((reply) => {
      // Listened to before it is thrown away: a short body ends while it is.
      reply.onDone(over);
      reply.discard();
    }, over);
  }

  /** Asks for a service in the background; the calls do without copies until it is known. */
  ask(service: ServiceKey): void {
    const { clock, discover } = this.#kit;
    if (this.#closing.signal.aborted || clock.now() < (this.#asked.get(service) ?? 0)) return;
    this.#asked.set(service, Number.POSITIVE_INFINITY);
    discover(service, this.#closing.signal).then(
      () => this.#asked.delete(service),
      () => this.#asked.set(service, clock.now() + ASK_AGAIN_MS),
    );
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closing.abort(closed());
    for (const copy of [...this.#copies]) copy.cancel.cancel(closed());
  }
}

const closed = (): MeshError =>
  new MeshError("MESH_CLOSED", { message: "the mesh was left while the copy of a call was under way" });

/** One destination of copies. */
export interface ReadyMirror {
  readonly percent: number;
  readonly maxInFlight: number;
  /** `service:subset`, under which its copies are counted. */
  readonly name: string;
  readonly service: ServiceKey;
  /** How copies get there; `undefined` while this member does not know the service. */
  readonly ready: { readonly plan: CallPlan; readonly send: Send } | undefined;
}

/** What {@link mirrorCall} is made of. */
export interface MirrorKit {
  readonly mirrors: Mirrors;
  readonly counters: MirrorCounters;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Sends copies of calls to other destinations (Envoy's request mirroring). The call itself goes first and never waits for a
 * copy; a copy has its own time limit, its destination's own circuit and limits, and no retries. It ends with neither the
 * call nor the visit that made the call, but with the mesh.
 */
export const mirrorCall =
  (targets: readonly ReadyMirror[], kit: MirrorKit): Layer =>
  (next) =>
  (call) => {
    // Layers below set new headers.
    const { sentHeaders } = call;
    const reply = next(call);
    for (const target of targets) {
      if (fallsWithin(target.percent, kit.random)) copyTo(target, kit, call, sentHeaders);
    }
    return reply;
  };

const copyTo = (
  { name, service, maxInFlight, ready }: ReadyMirror,
  { mirrors, counters, clock }: MirrorKit,
  call: Call,
  headers: readonly string[],
): void => {
  if (ready === undefined) {
    counters.mirrorsUndiscovered++;
    mirrors.ask(service);
  } else if (!isCopied(call)) {
    counters.mirrorsWithoutBody++;
  } else if (!mirrors.hasRoom(name, maxInFlight)) {
    counters.mirrorsOverLimit++;
  } else {
    const copy = copyOf(call, headers, service, clock);
    copy.plan = ready.plan;
    copy.subset = ready.plan.subset;
    mirrors.send(name, copy, ready.send);
  }
};

/** Whether all of a call is in memory and small. An upgrade is a conversation, of which there is no copy. */
const isCopied = (call: Call): boolean => {
  const { body, replayable, upgrade, carrier } = call;
  if (upgrade !== undefined) return false;
  // Another client writes the body, if there is one.
  if (carrier !== undefined) return hasNoBody(call);
  const unknown: unknown = body;
  return isWholeBody(body, replayable) && !(unknown instanceof BlobBody && unknown.size > REPLAY_BOUND_BYTES);
};

const hasNoBody = ({ method, headers }: Call): boolean =>
  (method === "GET" || method === "HEAD") &&
  headerOf(headers, "content-length") === undefined &&
  headerOf(headers, "transfer-encoding") === undefined;

const copyOf = (call: Call, headers: readonly string[], service: ServiceKey, clock: Clock): MeshCall => {
  const copy = new MeshCall({
    method: call.method,
    scheme: call.scheme,
    authority: shadowAuthority(call.sentAuthority),
    port: call.port,
    path: call.sentPath,
    service,
    headers: [...headers],
    body: call.carrier === undefined ? ownBytes(call.body) : null,
    replayable: true,
    options: { retry: false },
    startedAtMs: clock.now(),
    inherited: { deadlineMs: undefined, context: call.context },
  });
  copy.rule = call.rule;
  copy.revision = call.revision;
  copy.shadow = true;
  return copy;
};

/** A caller may write into its bytes again when its call is over; the copy may still be on its way then. */
const ownBytes = (body: Call["body"]): Call["body"] => {
  if (ArrayBuffer.isView(body)) return Buffer.from(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  const unknown: unknown = body;
  return unknown instanceof ArrayBuffer ? Buffer.from(unknown.slice(0)) : body;
};
