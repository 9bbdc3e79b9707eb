import type { ReplySink } from "../reply.ts";
import type { Call } from "../send.ts";

const nothing = Buffer.alloc(0);

/** Gathers a body in memory, straight from the wire. */
export class Collector implements ReplySink {
  readonly #call: Pick<Call, "cancel">;
  readonly #resolve: (body: Buffer, trailers: Record<string, string | string[]>) => void;
  readonly #reject: (error: unknown) => void;
  #first: Buffer | undefined = undefined;
  #chunks: Buffer[] | undefined = undefined;

  constructor(
    call: Pick<Call, "cancel">,
    resolve: (body: Buffer, trailers: Record<string, string | string[]>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  data(chunk: Buffer): boolean {
    if (this.#first === undefined) this.#first = chunk;
    else if (this.#chunks === undefined) this.#chunks = [this.#first, chunk];
    else this.#chunks.push(chunk);
    return true;
  }

  end(trailers: Record<string, string | string[]>): void {
    this.#resolve(this.#chunks === undefined ? (this.#first ?? nothing) : Buffer.concat(this.#chunks), trailers);
  }

  error(error: Error): void {
    this.#reject(asSeenBy(this.#call, error));
  }
}

/** What the caller is told of a body that broke off: its own reason if it gave the call up. */
export const asSeenBy = (call: Pick<Call, "cancel">, error: Error): unknown =>
  call.cancel.cancelled ? call.cancel.reason : error;
