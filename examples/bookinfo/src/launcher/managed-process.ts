import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

/** How one process of the application is started. */
export interface ProcessDescription {
  readonly name: string;
  /** The module that it runs. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where its output goes. */
  readonly logFile: string;
}

/** Where a process is in its life. */
export type ProcessState =
  | { readonly state: "running"; readonly child: ChildProcess }
  /** Told to end, or killed on purpose. */
  | { readonly state: "ending"; readonly child: ChildProcess }
  | { readonly state: "ended" };

/** What is told of a process that nobody ended. */
export interface UnexpectedEnd {
  readonly name: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly logFile: string;
  /** The last lines of the log. */
  readonly lastWords: string;
}

const READY_LIMIT_MS = 60_000;
const END_LIMIT_MS = 8_000;
const LAST_LINES = 12;

/**
 * One process of the application. It runs in a process group of its own, so that Ctrl-C reaches the launcher alone, and it
 * holds a channel to the launcher, whose closing tells it that the launcher is gone.
 */
export class ManagedProcess<Ready extends { readonly type: string }> {
  readonly description: ProcessDescription;
  readonly #onUnexpectedEnd: (end: UnexpectedEnd) => void;
  #state: ProcessState = { state: "ended" };
  #exited: Promise<void> = Promise.resolve();
  #starts = 0;

  constructor(description: ProcessDescription, onUnexpectedEnd: (end: UnexpectedEnd) => void) {
    this.description = description;
    this.#onUnexpectedEnd = onUnexpectedEnd;
  }

  get running(): boolean {
    return this.#state.state === "running";
  }

  get pid(): number | undefined {
    return this.#state.state === "ended" ? undefined : this.#state.child.pid;
  }

  /** `service.instance.id` of the telemetry: one per start, since each process counts from zero. */
  get telemetryId(): string {
    return `${this.description.name}.${this.#starts}`;
  }

  /**
   * Starts the process and settles with its first message.
   *
   * @throws Error when it ends before, or says nothing for 60 s.
   */
  start(env: Readonly<Record<string, string>> = {}): Promise<Ready> {
    if (this.#state.state !== "ended") throw new Error(`${this.description.name} is running already`);
    this.#starts += 1;
    const { name, script, logFile } = this.description;
    const log = openSync(logFile, "a");
    const child = spawn(process.execPath, ["--enable-source-maps", script], {
      env: {
        ...process.env,
        ...this.description.env,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${this.telemetryId}`,
        ...env,
      },
      stdio: ["ignore", log, log, "ipc"],
      detached: true,
    });
    closeSync(log);
    this.#state = { state: "running", child };
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        const expected = this.#state.state === "ending";
        this.#state = { state: "ended" };
        resolve();
        if (!expected) this.#onUnexpectedEnd({ name, code, signal, logFile, lastWords: lastLines(logFile) });
      });
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${name} was not ready within ${READY_LIMIT_MS / 1_000} s, see ${logFile}`));
      }, READY_LIMIT_MS);
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(new Error(`${name} ${reason}, see ${logFile}`));
      };
      child.once("error", (error) => fail(`could not be started: ${error.message}`));
      child.once("exit", (code, signal) => fail(`ended with ${signal ?? `code ${code}`} before it was ready`));
      child.once("message", (message) => {
        clearTimeout(timer);
        // The scripts of this example send one kind of message each.
        resolve(message as Ready);
      });
    });
  }

  /** Kills it without warning. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Lets it drain and end, and kills it when it takes longer than 8 s. */
  async stop(): Promise<void> {
    const limit = setTimeout(() => void this.#end("SIGKILL"), END_LIMIT_MS);
    await this.#end("SIGTERM");
    clearTimeout(limit);
  }

  #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#state.state !== "ended") {
      const { child } = this.#state;
      this.#state = { state: "ending", child };
      child.kill(signal);
    }
    return this.#exited;
  }
}

const lastLines = (file: string): string => {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-LAST_LINES).join("\n");
  } catch {
    return "";
  }
};
