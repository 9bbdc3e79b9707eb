import { STATUS_CODES } from "node:http";
import type { Flow, Reply, ReplySink } from "./reply.ts";
import { parseRawHeaders } from "./reply-headers.ts";

/** What a reply of the mesh's own says. */
export interface LocalReplyParts {
  /** Method of the call that it answers: HEAD is answered without the body, but with the headers that tell of it. */
  readonly method: string;
  readonly status: number;
  /** Flat list of names and values. `content-length` is added where a body may be. */
  readonly headers: readonly string[];
  /** @default nothing */
  readonly body?: Buffer;
}

/**
 * A reply that the mesh makes itself: a failure told as a proxy would, or what a rule answers instead of a service. To the
 * faces it is a reply like any other. Its body is in memory, so it is over as soon as it is made.
 */
export class LocalReply implements Reply, Flow {
  readonly status: number;
  readonly statusText: string;
  readonly rawHeaders: readonly string[];
  #body: Buffer | undefined;
  #parsed: Reply["headers"] | undefined = undefined;
  #sink: ReplySink | undefined = undefined;
  #taken = false;
  #paused = false;

  constructor({ method, status, headers, body = nothing }: LocalReplyParts) {
    this.status = status;
    this.statusText = STATUS_CODES[status] ?? "";
    const bodiless = withoutBody.has(status);
    this.rawHeaders = bodiless ? headers : [...headers, "content-length", String(body.length)];
    this.#body = bodiless || method === "HEAD" || body.length === 0 ? undefined : body;
  }

  get headers(): Reply["headers"] {
    this.#parsed ??= parseRawHeaders(this.rawHeaders);
    return this.#parsed;
  }

  /** What {@link take} hands over. */
  get body(): Buffer {
    return this.#body ?? nothing;
  }

  take(sink: ReplySink): Flow {
    if (this.#taken) throw new Error("the body of this reply was taken or discarded before");
    this.#taken = true;
    this.#sink = sink;
    this.#flow();
    return this;
  }

  discard(): void {
    this.#taken = true;
  }

  onDone(listener: (error: Error | undefined) => void): void {
    listener(undefined);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  abort(reason: Error): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.error(reason);
  }

  #flow(): void {
    const body = this.#body;
    this.#body = undefined;
    if (body !== undefined && this.#sink?.data(body) === false) this.#paused = true;
    if (this.#paused) return;
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end({});
  }
}

const nothing = Buffer.alloc(0);

/** Replies of these have no body, whatever their headers say (RFC 9110). */
const withoutBody: ReadonlySet<number> = new Set([204, 205, 304]);
