// What `npm start -- --istio` runs: documents of Istio, applied task by task, and what visitors see of each.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { runCli } from "@tulle/cli";
import type { Bookinfo } from "../launcher/bookinfo.ts";
import type { CallLedger } from "../telemetry/call-ledger.ts";
import type { Observation } from "./observation.ts";
import { securityTasks } from "./security-tasks.ts";
import type { Stage, Task } from "./task.ts";
import type { TokenIssuer } from "./token-issuer.ts";
import { trafficTasks } from "./traffic-tasks.ts";

/** The folder of the documents. */
export const documentFolder: string = join(import.meta.dirname, "..", "..", "istio");

/** All tasks, in their order. */
export const tasks: readonly Task[] = [...trafficTasks, ...securityTasks];

/** What holds under every task. */
export const MESH_FILES = "mesh";

/** In the place of the address of the issuer's keys. */
const PLACEHOLDER = "$JWKS_URI";

/** Applies documents as `tulle apply` does, because it is `tulle apply`. */
export class IstioDocuments {
  readonly #runDirectory: string;
  readonly #issuer: TokenIssuer;

  constructor(runDirectory: string, issuer: TokenIssuer) {
    this.#runDirectory = runDirectory;
    this.#issuer = issuer;
  }

  /**
   * Makes files what holds, together with those of `istio/mesh`, and waits until every member has them.
   *
   * @returns the revision.
   * @throws Error with what the command line printed, when it refuses them.
   */
  async apply({ adminFile }: Bookinfo, files: readonly string[]): Promise<string> {
    const paths = await Promise.all([MESH_FILES, ...files].map((file) => this.#pathOf(file)));
    let output = "";
    let complaints = "";
    const code = await runCli(["apply", "--prune", "--wait", "--json", "--admin", adminFile, ...paths], {
      write: (text) => {
        output += text;
      },
      writeError: (text) => {
        complaints += text;
      },
      interactive: false,
      color: false,
      environment: {},
      readInput: async () => "",
      wallNow: () => Date.now(),
    });
    if (code !== 0) throw new Error(`tulle apply ended with ${code}:\n${complaints}`);
    // What the command line promises for --json.
    return (JSON.parse(output) as { readonly revision: string }).revision;
  }

  /** Places in what is printed are those of these paths. */
  async #pathOf(file: string): Promise<string> {
    const path = join(documentFolder, file);
    const text = file === MESH_FILES ? "" : await readFile(path, "utf8");
    if (!text.includes(PLACEHOLDER)) return relative(process.cwd(), path);
    const copy = join(this.#runDirectory, "istio", file);
    await mkdir(dirname(copy), { recursive: true });
    await writeFile(copy, text.replaceAll(PLACEHOLDER, this.#issuer.jwksUri));
    return copy;
  }
}

/** What the tasks run on. */
export interface IstioRun {
  readonly bookinfo: Bookinfo;
  readonly documents: IstioDocuments;
  readonly ledger: CallLedger;
  readonly issuer: TokenIssuer;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Runs the tasks one after the other and tells of each what was seen. @returns what was not as promised */
export const runTasks = async ({
  bookinfo,
  documents,
  ledger,
  issuer,
  say,
  signal,
}: IstioRun): Promise<readonly string[]> => {
  const stage: Stage = { at: (path) => new URL(path, bookinfo.pageUrl), ledger, issuer };
  const broken: string[] = [];
  for (const [at, task] of tasks.entries()) {
    signal.throwIfAborted();
    const revision = await documents.apply(bookinfo, task.files);
    say(`\n${at + 1}. ${task.title}   (${task.files.join(", ")}; revision ${revision})`);
    for (const observation of await task.observe(stage)) {
      say(lineOf(observation));
      if (!observation.kept) broken.push(`${at + 1}. ${task.title}: ${observation.promise}`);
    }
  }
  return broken;
};

const lineOf = ({ promise, seen, kept }: Observation): string => `   ${kept ? "ok " : "NOT"} ${promise}: ${seen}`;
