import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import type { ServerAnswer, ServerQuestion, Trouble } from "./server.ts";

/** How many servers there are: as many as most services have at most. */
export const SERVERS = 5;

/** Servers, each a process of its own. The first is the one that gets into trouble. */
export interface Fleet extends AsyncDisposable {
  readonly ports: readonly number[];
  /** Of the caller. */
  readonly credentials: Credentials;
  /** PEM. */
  readonly root: string;
  /** Says what is wrong with the first server from now on. */
  trouble(trouble: Trouble): void;
  /** Stops the first server's process, as it is: its connections stay open, and nobody answers on them. */
  pause(): void;
  resume(): void;
  /** Requests of each server since the last count. */
  count(): Promise<readonly number[]>;
}

/** Starts the servers. */
export const startFleet = async (): Promise<Fleet> => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ serviceAccount: "caller" });
  const served = await authority.issue({ serviceAccount: "reviews" });
  const children = Array.from({ length: SERVERS }, (_, place) =>
    fork(join(import.meta.dirname, "server.ts"), [], {
      env: { ...process.env, CREDENTIALS: JSON.stringify(served), SEED: String(place + 1) },
      execArgv: ["--conditions=@tulle/source", "--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    }),
  );
  const [first] = children;
  if (first === undefined) throw new Error("there are servers");
  const ports = await Promise.all(children.map(async (child) => fieldOf(await nextFrom(child), "port")));
  return {
    ports,
    credentials,
    root: authority.root,
    trouble: (trouble) => ask(first, { trouble }),
    pause: () => void first.kill("SIGSTOP"),
    resume: () => void first.kill("SIGCONT"),
    count: () =>
      Promise.all(
        children.map(async (child) => {
          const answer = nextFrom(child);
          ask(child, { count: "restart" });
          return fieldOf(await answer, "requests");
        }),
      ),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, "exit");
          child.kill("SIGKILL");
          await exited;
        }),
      );
    },
  };
};

const ask = (child: ChildProcess, question: ServerQuestion): void => {
  child.send(question);
};

const nextFrom = (child: ChildProcess): Promise<ServerAnswer> =>
  new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error("a server ended before it answered"));
    child.once("exit", gone);
    child.once("message", (answer) => {
      child.off("exit", gone);
      // A server sends nothing else.
      resolve(answer as ServerAnswer);
    });
  });

const fieldOf = (answer: ServerAnswer, field: "port" | "requests"): number => {
  // Each question has its own answer; another one would be a mistake of the program's.
  const value = (answer as Readonly<Record<string, number>>)[field];
  if (value === undefined) throw new Error(`a server answered without "${field}"`);
  return value;
};
