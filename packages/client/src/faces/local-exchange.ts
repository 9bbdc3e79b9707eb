import type { MeshError } from "@tulle/policy";
import type { Flow, Reply, ReplySink } from "../reply.ts";
import { type LocalReply, localReply } from "./local-reply.ts";

/** A failure of the mesh as the reply that a proxy would have given. */
export class LocalExchange implements Reply {
  readonly #reply: LocalReply;

  constructor(error: MeshError) {
    this.#reply = localReply(error);
  }

  get status(): number {
    return this.#reply.status;
  }

  get statusText(): string {
    return this.#reply.statusText;
  }

  get headers(): Record<string, string> {
    return this.#reply.headers;
  }

  get rawHeaders(): readonly string[] {
    return Object.entries(this.#reply.headers).flat();
  }

  take(sink: ReplySink): Flow {
    sink.data(this.#reply.body);
    sink.end({});
    return finished;
  }

  discard(): void {}

  onDone(listener: (error: Error | undefined) => void): void {
    listener(undefined);
  }
}

/** Nothing more comes. */
const finished: Flow = { pause: () => undefined, resume: () => undefined, abort: () => undefined };
