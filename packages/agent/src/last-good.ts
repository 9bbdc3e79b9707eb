import { decodeResource, type HeldResource, parseRevision, type Revision, type Stream, streams } from "@tulle/protocol";
import type { Clock, Timer } from "@tulle/time";
import type { StoredCertificate } from "./credentials.ts";
import type { AgentLogger } from "./logger.ts";
import type { StateFolder } from "./state-folder.ts";
import { type HeldStreams, nothingHeld } from "./subscription.ts";

const RESOURCES_FILE = "resources.json";
const CREDENTIALS_FILE = "credentials.json";
const INSTANCE_FILE = "instance-id";

/** Written into each file; a file of another form is ignored. */
const FORM = 1;

/**
 * After a write of the streams, this many times its length pass before the next one: a small state is on disk at once, so
 * that hardly a crash comes too early, and a large one that changes all the time takes at most a tenth of the time.
 */
const PAUSE_PER_WRITE = 9;

/** Largest file of resources that is written, in bytes. */
const MAX_BYTES = 67_108_864;

/** What the state folder keeps of the member's credentials. */
export interface StoredCredentials {
  readonly certificate?: StoredCertificate;
  readonly pendingKey?: string;
}

/**
 * What the member last held, on disk, so that a restart needs no config-server. Never in the way: what cannot be read is
 * ignored with a warning, what cannot be written is a warning and a counter.
 */
export class LastGood {
  readonly counters = { stateWrites: 0, stateWriteFailures: 0 };
  readonly #folder: StateFolder;
  readonly #clock: Clock;
  readonly #logger: AgentLogger;
  #pending: HeldStreams | undefined;
  #timer: Timer | undefined;
  #notBeforeMs = 0;
  /** Writes happen one after another. */
  #writing: Promise<void> = Promise.resolve();
  #credentials: StoredCredentials = {};
  /** The last warning: a disk that stays full is said once. */
  #told: string | undefined;

  constructor(folder: StateFolder, clock: Clock, logger: AgentLogger) {
    this.#folder = folder;
    this.#clock = clock;
    this.#logger = logger;
  }

  readInstanceId(): string | undefined {
    const text = this.#read(INSTANCE_FILE, (content) => content.trim());
    return text === "" ? undefined : text;
  }

  writeInstanceId(id: string): void {
    this.#enqueue(INSTANCE_FILE, () => id);
  }

  readStreams(): HeldStreams {
    return this.#read(RESOURCES_FILE, decodeStreams) ?? nothingHeld;
  }

  readCredentials(): StoredCredentials {
    this.#credentials = this.#read(CREDENTIALS_FILE, decodeCredentials) ?? {};
    return this.#credentials;
  }

  /** Keeps the streams, at once or a little later: only the last of several changes is written. */
  keepStreams(held: HeldStreams): void {
    this.#pending = held;
    this.#timer ??= this.#clock.after(this.#notBeforeMs - this.#clock.now(), () => this.#writeStreams());
  }

  /** Keeps a certificate, or beside it the key of one that is being asked for. */
  keepCredentials(kept: StoredCredentials): void {
    const certificate = kept.certificate ?? this.#credentials.certificate;
    const next = { ...(certificate === undefined ? {} : { certificate }), ...kept };
    this.#credentials = next;
    this.#enqueue(CREDENTIALS_FILE, () => JSON.stringify({ form: FORM, ...next }));
  }

  /** Settles when all that was to be kept has been written, or could not be. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#writeStreams();
    await this.#writing;
  }

  /** Writes what is left and gives the folder back. */
  async close(): Promise<void> {
    await this.flush();
    this.#folder.release();
  }

  #writeStreams(): void {
    this.#enqueue(RESOURCES_FILE, () => {
      // Whatever came while an earlier write was under way is in this one.
      const held = this.#pending;
      this.#pending = undefined;
      this.#timer = undefined;
      return held === undefined ? undefined : encodeStreams(held);
    });
  }

  #enqueue(name: string, text: () => string | undefined): void {
    this.#writing = this.#writing.then(async () => {
      const startMs = this.#clock.now();
      try {
        const content = text();
        if (content === undefined) return;
        await this.#folder.write(name, content);
        this.counters.stateWrites += 1;
        this.#told = undefined;
      } catch (error) {
        this.counters.stateWriteFailures += 1;
        const warning = `${this.#folder.path}/${name} could not be written: ${messageOf(error)}`;
        if (warning !== this.#told) this.#logger.warn(warning);
        this.#told = warning;
      }
      const endMs = this.#clock.now();
      this.#notBeforeMs = endMs + (endMs - startMs) * PAUSE_PER_WRITE;
    });
  }

  #read<T>(name: string, decode: (text: string) => T): T | undefined {
    try {
      const text = this.#folder.read(name);
      return text === undefined ? undefined : decode(text);
    } catch (error) {
      this.#logger.warn(`${this.#folder.path}/${name} is ignored, it cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }
}

const encodeStreams = (held: HeldStreams): string => {
  const written = streams.map((stream) => {
    const { revision, seen, resources } = held[stream];
    const entries = Array.from(resources, ([name, { version, value }]) => ({ name, version, value }));
    return [stream, { revision, seen, resources: entries }];
  });
  const text = JSON.stringify({ form: FORM, streams: Object.fromEntries(written) });
  if (Buffer.byteLength(text) > MAX_BYTES) throw new Error(`it would have more than ${MAX_BYTES} bytes`);
  return text;
};

const decodeStreams = (text: string): HeldStreams => {
  const kept = fields(fields(parse(text), "the file").streams, "streams");
  const entries = streams.map((stream) => [stream, decodeStream(fields(kept[stream], stream))]);
  // Every stream of the list has just been read.
  return Object.fromEntries(entries) as Record<Stream, HeldStreams[Stream]>;
};

const decodeStream = (kept: Readonly<Record<string, unknown>>): HeldStreams[Stream] => {
  const { revision, seen, resources } = kept;
  if (!Array.isArray(resources)) throw new TypeError("resources are no list");
  const entries = resources.map((each: unknown): [string, HeldResource] => {
    const { name, version, value } = fields(each, "a resource");
    if (typeof name !== "string" || typeof version !== "string")
      throw new TypeError("a resource has no name or version");
    return [name, { version, value: decodeResource(name, value) }];
  });
  return { revision: revisionOf(revision), seen: revisionOf(seen), resources: new Map(entries) };
};

const revisionOf = (value: unknown): Revision | null => {
  if (value === null) return null;
  if (typeof value !== "string" || parseRevision(value) === undefined) throw new TypeError("a revision is none");
  // An epoch and a number have just been found in it.
  return value as Revision;
};

const decodeCredentials = (text: string): StoredCredentials => {
  const { certificate, pendingKey } = parse(text);
  if (pendingKey !== undefined && typeof pendingKey !== "string") throw new TypeError("the pending key is no text");
  const pending = pendingKey === undefined ? {} : { pendingKey };
  if (certificate === undefined) return pending;
  const { certificateChain, privateKey, receivedMs } = fields(certificate, "certificate");
  if (typeof certificateChain !== "string" || typeof privateKey !== "string" || typeof receivedMs !== "number") {
    throw new TypeError("the certificate is not complete");
  }
  return { certificate: { certificateChain, privateKey, receivedMs }, ...pending };
};

const parse = (text: string): Readonly<Record<string, unknown>> => {
  const content = fields(JSON.parse(text), "the file");
  if (content.form !== FORM) throw new TypeError(`it has not the form ${FORM}`);
  return content;
};

const fields = (value: unknown, what: string): Readonly<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(`${what} is no object`);
  // Any object can be read by its keys; each one is checked where it is used.
  return value as Readonly<Record<string, unknown>>;
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
