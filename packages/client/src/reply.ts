import type { Duplex } from "node:stream";

/** Receives a reply's body. All methods are called in order: any number of `data`, then exactly one of `end` and `error`. */
export interface ReplySink {
  /** Returns false to ask for a pause; the sink calls `resume` of its {@link Flow} when it can take more. */
  data(chunk: Buffer): boolean;
  end(trailers: Record<string, string | string[]>): void;
  error(error: Error): void;
}

/** Control over a body that is flowing. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** Ends the exchange; on HTTP/1.1 this costs the socket. */
  abort(reason: Error): void;
}

/** Headers now, body later. Has exactly one consumer: it is taken or discarded. */
export interface Reply {
  readonly status: number;
  readonly statusText: string;
  /** Flat raw list as the wire had it. */
  readonly rawHeaders: readonly (string | Buffer)[];
  /** Parsed by undici: lower-case names. */
  readonly headers: Record<string, string | string[] | undefined>;
  /**
   * The connection, once it speaks the protocol that the call asked for (status 101). There is no body to take then; the reply
   * is over when the socket is closed.
   */
  readonly upgraded?: Duplex | undefined;
  /** What came behind the body, by lower-case names, once it is over; `undefined` before, and where there was none. */
  readonly trailers?: Readonly<Record<string, string | string[]>> | undefined;
  /** Hands the body to a sink. @throws Error when it was taken or discarded before. */
  take(sink: ReplySink): Flow;
  /** Throws the body away, reading it to the end when it is short so that the socket lives on. */
  discard(): void;
  /** Calls `listener` once when the body is over, with the error if it broke off. */
  onDone(listener: (error: Error | undefined) => void): void;
}
