// What `npm start` runs: bookinfo on a mesh, with traffic, a live table and, if asked for, chaos.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type LauncherOptions, readArguments, usage } from "./arguments.ts";
import { IstioDocuments, runTasks } from "./istio/istio-run.ts";
import { startTokenIssuer } from "./istio/token-issuer.ts";
import { Bookinfo } from "./launcher/bookinfo.ts";
import { runChaos } from "./launcher/chaos.ts";
import { Display } from "./launcher/display.ts";
import { startLoad } from "./launcher/load.ts";
import { freeOrAny, killNow, onEndRequest } from "./launcher/run-time.ts";
import { CallLedger } from "./telemetry/call-ledger.ts";
import { startOtlpReceiver } from "./telemetry/otlp-receiver.ts";
import { type RunReport, runReport } from "./telemetry/run-report.ts";

const PAGE_PORT = 9080;
const LAST_EXPORT_LIMIT_MS = 5_000;

/** Runs the example to its end and returns the exit code. */
const run = async (options: LauncherOptions): Promise<number> => {
  const display = new Display(options.json ? process.stderr : process.stdout, process.env);
  const say = (line: string): void => display.say(line);
  const ending = new AbortController();
  const runDirectory = await mkdtemp(join(tmpdir(), "tulle-bookinfo-"));
  const ledger = new CallLedger();
  const receiver = await startOtlpReceiver(ledger);
  const issuer = options.istio ? await startTokenIssuer() : undefined;
  const documents = issuer === undefined ? undefined : new IstioDocuments(runDirectory, issuer);
  let deaths = 0;
  const bookinfo = new Bookinfo({
    runDirectory,
    publicPort: options.port ?? (await freeOrAny(PAGE_PORT)),
    otlpEndpoint: receiver.endpoint,
    ...(documents === undefined ? {} : { firstPolicies: (started) => documents.apply(started, []) }),
    onUnexpectedEnd: ({ name, code, signal, logFile, lastWords }) => {
      deaths += 1;
      say(`${name} ended unexpectedly with ${signal ?? `code ${code}`}, see ${logFile}:\n${lastWords}`);
    },
  });
  // Whatever ends the launcher, it leaves no process behind.
  process.once("exit", () => killNow(bookinfo.pids));
  onEndRequest(
    (reason) => {
      say(`${reason}: ending all processes`);
      ending.abort();
    },
    () => process.exit(1),
  );

  let report: RunReport | undefined;
  let broken = false;
  try {
    say(`logs and state of this run: ${runDirectory}`);
    await Promise.race([bookinfo.start(say), untilAborted(ending.signal)]);
    say(`page: ${bookinfo.pageUrl}`);
    say(`command line: npx tulle status --admin ${bookinfo.adminFile}`);
    if (issuer !== undefined && documents !== undefined) {
      const tasks = runTasks({ bookinfo, documents, ledger, issuer, say, signal: ending.signal });
      broken = !tellResult(await Promise.race([tasks, untilAborted(ending.signal)]), say);
    } else {
      const load = startLoad({ pageUrl: bookinfo.pageUrl, rate: options.rate });
      const shown = { bookinfo, ledger, receiver, load };
      display.show(shown);
      try {
        const failures = (): number => runReport(load, ledger.total(), display.revision).failures;
        await untilOver(options, bookinfo, { say, failures, signal: ending.signal });
      } finally {
        await load.stop();
        await lastExports(bookinfo, ledger);
        await display.finish(shown);
        report = runReport(load, ledger.total(), display.revision);
      }
    }
  } catch (error) {
    if (!ending.signal.aborted) {
      broken = true;
      say(`the run broke off: ${describe(error)}`);
    }
  }
  await bookinfo.stop();
  await receiver.close();
  await issuer?.close();

  const faultless = !broken && deaths === 0 && (report?.failures ?? 0) === 0;
  if (faultless) await rm(runDirectory, { recursive: true, force: true });
  else say(`kept for a look: ${runDirectory}`);
  if (options.json && report !== undefined) process.stdout.write(`${JSON.stringify(report)}\n`);
  // A run that was to end by itself has shown nothing when nobody asked for a page.
  const shown = options.istio || !endsByItself(options) || (report !== undefined && report.requests > 0);
  return faultless && shown ? 0 : 1;
};

/** Whether every task showed what it promises. */
const tellResult = (broken: readonly string[], say: (line: string) => void): boolean => {
  say(broken.length === 0 ? "\nevery task showed what it promises" : "\nnot as promised:");
  for (const each of broken) say(`- ${each}`);
  return broken.length === 0;
};

/** Settles when the time is over and the chaos is through; otherwise only when somebody ends the run. */
const untilOver = async (
  options: LauncherOptions,
  bookinfo: Bookinfo,
  chaos: Parameters<typeof runChaos>[1],
): Promise<void> => {
  const parts: Promise<unknown>[] = [];
  if (options.forMs !== undefined) parts.push(sleep(options.forMs, undefined, { signal: chaos.signal }));
  if (options.chaos) parts.push(runChaos(bookinfo, chaos));
  if (!endsByItself(options)) parts.push(untilAborted(chaos.signal));
  await Promise.all(parts);
};

const endsByItself = (options: LauncherOptions): boolean => options.forMs !== undefined || options.json;

/** Each process exports once a second: waits until all have told of the calls up to now. */
const lastExports = async (bookinfo: Bookinfo, ledger: CallLedger): Promise<void> => {
  const since = Date.now();
  const giveUpAt = performance.now() + LAST_EXPORT_LIMIT_MS;
  while (performance.now() < giveUpAt && bookinfo.callers.some((caller) => ledger.collectedAtMs(caller) < since)) {
    await sleep(50);
  }
};

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });

const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describe(error.cause)}`;
};

const command = readArguments(process.argv.slice(2));
if (command.kind === "help") {
  process.stdout.write(usage);
} else if (command.kind === "invalid") {
  process.stderr.write(`${command.message}\n\n${usage}`);
  process.exitCode = 2;
} else {
  process.exitCode = await run(command.options);
}
