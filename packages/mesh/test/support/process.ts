import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a program of the tests sends to its test. */
export type ProgramMessage = Readonly<Record<string, unknown>>;

/** A child that a test started and that ends with it. */
export interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly messages: readonly ProgramMessage[];
  /** Settles with the next message, or one that has come already, that has the field. Rejects when the process ends first. */
  heard(field: string): Promise<ProgramMessage>;
  /** Asks the program and settles with its answer. */
  ask(question: ProgramMessage, answer: string): Promise<ProgramMessage>;
  /** Ends it with a signal and settles when it is gone, with its exit code or signal. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** Starts a program of this folder by the running Node, from its sources. */
export const startProgram = (name: string, env: Readonly<Record<string, string>>): Program => {
  const file = fileURLToPath(new URL(`./${name}-program.ts`, import.meta.url));
  const child = fork(file, [], {
    env: { ...process.env, ...env },
    execArgv: ["--conditions=@tulle/source", "--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const messages: ProgramMessage[] = [];
  child.on("message", (message) => messages.push(message as ProgramMessage));

  const next = (field: string, from: number): Promise<ProgramMessage> =>
    new Promise((resolve, reject) => {
      const look = (): boolean => {
        const found = messages.slice(from).find((message) => field in message);
        if (found === undefined) return false;
        child.off("message", look).off("exit", gone);
        resolve(found);
        return true;
      };
      const gone = (code: number | null, signal: string | null): void => {
        child.off("message", look);
        reject(new Error(`${name} ended (${code ?? signal}) before it said "${field}":\n${output}`));
      };
      if (!look()) child.on("message", look).on("exit", gone);
    });
  const end = async (signal: NodeJS.Signals = "SIGKILL"): Promise<number | NodeJS.Signals | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code, by] = await exited;
    return code ?? by;
  };
  return {
    child,
    messages,
    heard: (field) => next(field, 0),
    ask: (question, answer) => {
      const from = messages.length;
      child.send(question);
      return next(answer, from);
    },
    end,
    [Symbol.asyncDispose]: async () => void (await end()),
  };
};
