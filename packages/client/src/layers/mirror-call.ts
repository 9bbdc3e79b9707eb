import { fallsWithin, MeshError, type ServiceKey, shadowAuthority } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import { MeshCall } from "../call.ts";
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
    // Before the call goes on: layers below set new headers.
    const copies = targets
      .filter(({ percent }) => fallsWithin(percent, kit.random))
      .map((to) => prepare(kit, call, to));
    const reply = next(call);
    for (const send of copies) send?.();
    return reply;
  };

const prepare = (
  { mirrors, counters, clock }: MirrorKit,
  call: Call,
  { name, service, maxInFlight, ready }: ReadyMirror,
): (() => void) | undefined => {
  if (ready === undefined) {
    counters.mirrorsUndiscovered++;
    mirrors.ask(service);
    return undefined;
  }
  if (!isCopied(call)) {
    counters.mirrorsWithoutBody++;
    return undefined;
  }
  if (!mirrors.hasRoom(name, maxInFlight)) {
    counters.mirrorsOverLimit++;
    return undefined;
  }
  const copy = copyOf(call, service, clock);
  copy.plan = ready.plan;
  copy.subset = ready.plan.subset;
  return () => mirrors.send(name, copy, ready.send);
};

/** Whether a call's body lies in memory and is small. An upgrade is a conversation, of which there is no copy. */
const isCopied = ({ body, replayable, upgrade }: Call): boolean =>
  upgrade === undefined &&
  isWholeBody(body, replayable) &&
  !((body as unknown) instanceof BlobBody && (body as unknown as BlobBody).size > REPLAY_BOUND_BYTES);

const copyOf = (call: Call, service: ServiceKey, clock: Clock): MeshCall => {
  const copy = new MeshCall({
    method: call.method,
    scheme: call.scheme,
    authority: shadowAuthority(call.sentAuthority),
    port: call.port,
    path: call.sentPath,
    service,
    headers: [...call.sentHeaders],
    body: ownBytes(call.body),
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
