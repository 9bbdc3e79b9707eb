import type { AgentLogger } from "./logger.ts";
import type { StateFolder } from "./state-folder.ts";

/** Texts that are kept at once; beyond it the one that was written longest ago goes. */
const MAX_TEXTS = 64;

/** Longest text that is kept, characters. */
const MAX_CHARACTERS = 1_048_576;

/**
 * Texts by name that outlive the process, in one file of the state folder (mode 0600): what other parts of the member fetched
 * and want to have at the next start. Never in the way: what cannot be read is as if it had not been kept.
 */
export class KeptTexts {
  readonly counters = { keptTextWrites: 0, keptTextFailures: 0 };
  readonly #folder: StateFolder;
  readonly #file: string;
  readonly #logger: AgentLogger;
  readonly #texts: Map<string, string>;
  /** Writes happen one after another. */
  #writing: Promise<void> = Promise.resolve();
  #closed = false;
  #warned = false;

  constructor(folder: StateFolder, file: string, logger: AgentLogger) {
    this.#folder = folder;
    this.#file = file;
    this.#logger = logger;
    this.#texts = this.#read();
  }

  read(name: string): Promise<string | undefined> {
    return Promise.resolve(this.#texts.get(name));
  }

  /** Settles when the text is on disk, or could not be written. */
  write(name: string, text: string): Promise<void> {
    if (this.#closed || text.length > MAX_CHARACTERS) return Promise.resolve();
    this.#texts.delete(name);
    this.#texts.set(name, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > MAX_TEXTS && oldest !== undefined) this.#texts.delete(oldest);
    this.#writing = this.#writing.then(() => this.#flush());
    return this.#writing;
  }

  /** Waits for what is being written; nothing is written after. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#writing;
  }

  async #flush(): Promise<void> {
    try {
      await this.#folder.write(this.#file, JSON.stringify(Object.fromEntries(this.#texts)));
      this.counters.keptTextWrites += 1;
    } catch (error) {
      this.counters.keptTextFailures += 1;
      if (!this.#warned) this.#logger.warn(`${this.#file} cannot be written to the state folder: ${String(error)}`);
      this.#warned = true;
    }
  }

  #read(): Map<string, string> {
    try {
      const kept: unknown = JSON.parse(this.#folder.read(this.#file) ?? "{}");
      if (typeof kept !== "object" || kept === null) return new Map();
      const texts = Object.entries(kept).filter((entry): entry is [string, string] => typeof entry[1] === "string");
      return new Map(texts.slice(-MAX_TEXTS));
    } catch (error) {
      this.counters.keptTextFailures += 1;
      this.#logger.warn(`${this.#file} in the state folder is not used, it cannot be read: ${String(error)}`);
      return new Map();
    }
  }
}
