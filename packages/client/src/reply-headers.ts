import type { HeaderListChange } from "@tulle/policy";
import type { Flow, Reply, ReplySink } from "./reply.ts";
import { undici } from "./transport/undici.ts";

/** A flat list of headers as undici parses it: lower-case names, several values as a list. */
export const parseRawHeaders = (raw: Reply["rawHeaders"]): Reply["headers"] =>
  // undici only reads the list.
  undici.util.parseHeaders(raw as (string | Buffer)[]);

/**
 * A reply with other headers: both forms that the faces show are made of one list. The reply itself keeps what the wire had,
 * for the layers below have not finished with it.
 */
export const withHeaders = (reply: Reply, change: HeaderListChange): Reply => new ChangedReply(reply, change);

class ChangedReply implements Reply {
  readonly #reply: Reply;
  readonly rawHeaders: Reply["rawHeaders"];
  #parsed: Reply["headers"] | undefined = undefined;

  constructor(reply: Reply, change: HeaderListChange) {
    this.#reply = reply;
    const { rawHeaders } = reply;
    const changed = change(rawHeaders.map((each) => (typeof each === "string" ? each : each.toString("latin1"))));
    // The transport's lists are of buffers, and who reads them may rely on that.
    this.rawHeaders =
      typeof rawHeaders[0] === "object" ? changed.map((each) => Buffer.from(each, "latin1")) : [...changed];
  }

  get status(): number {
    return this.#reply.status;
  }

  get statusText(): string {
    return this.#reply.statusText;
  }

  get headers(): Reply["headers"] {
    this.#parsed ??= parseRawHeaders(this.rawHeaders);
    return this.#parsed;
  }

  get upgraded(): Reply["upgraded"] {
    return this.#reply.upgraded;
  }

  get trailers(): Reply["trailers"] {
    return this.#reply.trailers;
  }

  take(sink: ReplySink): Flow {
    return this.#reply.take(sink);
  }

  discard(): void {
    this.#reply.discard();
  }

  onDone(listener: (error: Error | undefined) => void): void {
    this.#reply.onDone(listener);
  }
}
