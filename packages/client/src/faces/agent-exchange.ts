import { AsyncResource } from "node:async_hooks";
import type { ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import { isMeshError } from "@tulle/policy";
import { belongsTo, type MeshCall } from "../call.ts";
import type { Candidate } from "../endpoints/endpoint-set.ts";
import type { Reply } from "../reply.ts";
import type { Attempt, Call, Carrier, Send } from "../send.ts";
import { AgentAttempt } from "./agent-attempt.ts";
import { failureReply } from "./failure-reply.ts";
import { ReplySocket } from "./reply-socket.ts";

/**
 * Between one request of `node:http` and its call: writes the mesh's headers into it, brings it to a connection, and tells it
 * how the call failed. The request destroys itself in every other case.
 */
export class AgentExchange implements Carrier {
  readonly #request: ClientRequest;
  readonly #call: MeshCall;
  readonly #timeoutMs: number | undefined;
  readonly #asReply: boolean;
  /** Connections become free in the context of whoever used them before. */
  readonly #context = new AsyncResource("tulle.call");
  readonly #destroy: (error?: Error) => ClientRequest;
  #hasSocket = false;

  /** @param timeoutMs what the options say of silent sockets: Node.js leaves setting it to the agent. */
  constructor(request: ClientRequest, call: MeshCall, timeoutMs: number | undefined, asReply: boolean) {
    this.#request = request;
    this.#call = call;
    this.#timeoutMs = timeoutMs;
    this.#asReply = asReply;
    const { destroy } = request;
    this.#destroy = (error) => Reflect.apply(destroy, request, [error]);
  }

  begin(send: Send): void {
    const call = this.#call;
    call.carrier = this;
    // The one place at which a request tells that its caller gave it up: without a connection it has no event for that.
    this.#request.destroy = (error) => {
      if (!this.#request.destroyed) {
        this.#destroy(error);
        call.cancel.cancel(error ?? new Error("the request was destroyed"));
      }
      return this.#request;
    };
    send(call).then(
      (reply) => {
        // One that came by a connection is in the hands of its reader already.
        if (!this.#hasSocket) this.#give(new ReplySocket(reply));
      },
      (error: unknown) => this.#fail(error),
    );
  }

  carry(_call: Call, attempt: Attempt, candidate: Candidate): Promise<Reply> {
    const request = this.#request;
    if (!request.headersSent) writeInto(request, this.#call, attempt);
    else writeAnew(request, () => writeInto(request, this.#call, attempt));
    return new Promise((resolve, reject) => {
      const use = (socket: Duplex, reused: boolean): void => {
        this.#hasSocket = true;
        request.reusedSocket = reused;
        this.#give(socket);
      };
      new AgentAttempt({ request, call: this.#call, attempt, candidate, use, resolve, reject }).begin();
    });
  }

  #give(socket: Duplex): void {
    this.#context.runInAsyncScope(() => {
      if (this.#timeoutMs !== undefined && "setTimeout" in socket && typeof socket.setTimeout === "function")
        socket.setTimeout(this.#timeoutMs);
      assign(this.#request, socket);
    });
  }

  #fail(error: unknown): void {
    const failure = this.#call.cancel.cancelled ? this.#call.cancel.reason : error;
    if (isMeshError(failure)) {
      belongsTo(failure, this.#call);
      this.#call.failure = failure;
    }
    if (this.#hasSocket) {
      // Without effect on one that ended by itself, which has told its caller.
      this.#destroy(asError(failure));
    } else if (this.#asReply && isMeshError(failure) && !this.#request.destroyed) {
      this.#give(new ReplySocket(failureReply(failure, this.#call)));
    } else {
      // One that its caller destroyed knows why, and tells it in Node's own words.
      const told = this.#request.destroyed ? undefined : asError(failure);
      this.#context.runInAsyncScope(() => assign(this.#request, undefined, told));
    }
  }
}

/** Ends a request that gets no connection. */
export const refuseRequest = (request: ClientRequest, error: unknown): void =>
  assign(request, undefined, asError(error));

/** Answers a request that never became a call. */
export const answerWith = (request: ClientRequest, reply: Reply): void => assign(request, new ReplySocket(reply));

/** What Node.js has agents do in the end, with any stream, or with an error instead; its types know sockets alone. */
const assign = (request: ClientRequest, socket: Duplex | undefined, error?: Error): void =>
  Reflect.apply(request.onSocket, request, [socket, error]);

/** Brings a request to what the layers made of its call, headers of the attempt included. */
const writeInto = (request: ClientRequest, call: Call, attempt: Attempt): void => {
  request.path = call.sentPath;
  const wanted = new Map<string, { readonly name: string; readonly values: string[] }>();
  const list = ["host", call.sentAuthority, ...call.sentHeaders, ...attempt.headers];
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    const known = wanted.get(name.toLowerCase());
    if (known === undefined) wanted.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  for (const name of request.getHeaderNames()) if (!wanted.has(name)) request.removeHeader(name);
  for (const [key, { name, values }] of wanted) {
    const written = request.getHeader(key);
    const before = written === undefined ? [] : Array.isArray(written) ? written : [String(written)];
    if (before.length === values.length && before.every((each, place) => each === values[place])) continue;
    request.setHeader(name, values.length === 1 ? (values[0] ?? "") : values);
  }
};

/** What Node.js keeps of a request that it has written and that has no connection yet. */
interface Written {
  _header: string | null;
  /** Whether {@link outputData} begins with the header. */
  _headerSent: boolean;
  readonly outputData?: { data: unknown }[];
  _implicitHeader?(): void;
}

/**
 * Changes the headers of a request that waits for its connection already written: one that had to be discovered, delayed or
 * tried again. The agents of proxies rely on the same inner fields; where a version has others, the request goes as it is, and
 * so does one whose headers were given as a list, for Node.js does not keep those.
 */
const writeAnew = (request: ClientRequest, change: () => void): void => {
  // Fields that the types leave out; each is checked before it is used.
  const written = request as unknown as Written;
  const before = written._header;
  const { outputData, _headerSent: queued } = written;
  const first = outputData?.[0];
  if (typeof before !== "string" || typeof written._implicitHeader !== "function") return;
  if (request.getHeaderNames().length === 0) return;
  if (outputData === undefined || queued !== (first !== undefined)) return;
  if (first !== undefined && !(typeof first.data === "string" && first.data.startsWith(before))) return;
  const pieces = outputData.length;
  written._header = null;
  try {
    change();
  } finally {
    written._implicitHeader();
    // It takes itself for the first to write, and with 100-continue it queues the header at once.
    outputData.length = pieces;
    written._headerSent = queued;
  }
  if (first !== undefined) first.data = `${written._header}${String(first.data).slice(before.length)}`;
};

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
