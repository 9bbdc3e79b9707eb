// What `npm start` runs: bookinfo on a mesh, with traffic, a live table and, if asked for, chaos.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type LauncherOptions, readArguments, usage } from "./arguments.ts";
import { Bookinfo } from "./launcher/bookinfo.ts";
import { runChaos } from "./launcher/chaos.ts";
import { type Load, startLoad } from "./launcher/load.ts";
import { freeOrAny, onEndRequest } from "./launcher/run-time.ts";
import { CallLedger } from "./telemetry/call-ledger.ts";
import { LiveScreen } from "./telemetry/live-screen.ts";
import { startOtlpReceiver } from "./telemetry/otlp-receiver.ts";
import { type RunReport, runReport } from "./telemetry/run-report.ts";
import { renderTable } from "./telemetry/table.ts";

const PAGE_PORT = 9080;
const WINDOW_MS = 10_000;
const REFRESH_MS = 1_000;
/** Where the table cannot be redrawn in place, it is printed anew now and then. */
const REPRINT_MS = 5_000;
const LAST_EXPORT_LIMIT_MS = 5_000;

const run = async (options: LauncherOptions): Promise<number> => {
  const output = options.json ? process.stderr : process.stdout;
  const screen = new LiveScreen(output);
  const say = (line: string): void => screen.say(line);
  const color = output.isTTY === true && !process.env.NO_COLOR;
  const ending = new AbortController();
  let deaths = 0;

  const runDirectory = await mkdtemp(join(tmpdir(), "tulle-bookinfo-"));
  const ledger = new CallLedger();
  const receiver = await startOtlpReceiver(ledger);
  const bookinfo = new Bookinfo({
    runDirectory,
    publicPort: options.port ?? (await freeOrAny(PAGE_PORT)),
    otlpEndpoint: receiver.endpoint,
    onUnexpectedEnd: ({ name, code, signal, logFile, lastWords }) => {
      deaths += 1;
      say(`${name} ended unexpectedly with ${signal ?? `code ${code}`}, see ${logFile}:\n${lastWords}`);
    },
  });
  const killAll = (): void => {
    for (const pid of bookinfo.pids) tryKill(pid);
  };
  process.once("exit", killAll);
  onEndRequest(
    (reason) => {
      say(`${reason}: ending all processes`);
      ending.abort();
    },
    () => process.exit(1),
  );

  let load: Load | undefined;
  let revision = "";
  let broken: unknown;
  const drawTable = (): void => {
    const total = ledger.total();
    const failed = total.reduce((sum, edge) => sum + edge.failures, 0);
    const asked = load === undefined ? "not started" : `${load.requests} pages, ${load.failures} failed`;
    const notes = [
      `revision ${revision}   calls between members that failed: ${failed}   load at ${bookinfo.pageUrl}: ${asked}`,
      ...(load?.lastFailure === undefined ? [] : [`last failed page: ${load.lastFailure}`]),
      ...(receiver.refused.last === undefined ? [] : [`telemetry that could not be read: ${receiver.refused.last}`]),
      ...(ledger.dropped === 0 ? [] : [`telemetry beyond the bounds: ${ledger.dropped}`]),
    ];
    screen.draw(renderTable({ total, recent: ledger.recent(Date.now(), WINDOW_MS), notes, color }));
  };
  const readRevision = async (): Promise<void> => {
    try {
      ({ revision } = await bookinfo.members());
    } catch {
      // The config-server may be away; what was in force stays in force.
    }
  };
  const failures = (): number => runReport(load ?? { requests: 0, failures: 0 }, ledger.total(), revision).failures;

  let report: RunReport | undefined;
  try {
    say(`logs and state of this run: ${runDirectory}`);
    await Promise.race([bookinfo.start(say), aborted(ending.signal)]);
    await readRevision();
    say(`page: ${bookinfo.pageUrl}`);
    say(`admin: npx tulle status --admin ${bookinfo.adminFile}`);
    ledger.beginWindow(Date.now());
    load = startLoad({ pageUrl: bookinfo.pageUrl, rate: options.rate });

    const refresh = setInterval(
      () => {
        drawTable();
        void readRevision();
      },
      screen.inPlace ? REFRESH_MS : REPRINT_MS,
    );
    try {
      const parts: Promise<unknown>[] = [];
      if (options.forMs !== undefined) parts.push(sleep(options.forMs, undefined, { signal: ending.signal }));
      if (options.chaos) parts.push(runChaos(bookinfo, { say, failures, signal: ending.signal }));
      const endsByItself = options.forMs !== undefined || options.json;
      await Promise.all(endsByItself ? parts : [...parts, aborted(ending.signal)]);
    } finally {
      clearInterval(refresh);
      await load.stop();
      await lastExports(bookinfo, ledger);
      await readRevision();
      drawTable();
    }
  } catch (error) {
    if (!ending.signal.aborted) {
      broken = error;
      say(`the run broke off: ${describe(error)}`);
    }
  }
  if (load !== undefined) report = runReport(load, ledger.total(), revision);
  await bookinfo.stop();
  await receiver.close();

  const sound =
    broken === undefined && deaths === 0 && report !== undefined && report.requests > 0 && report.failures === 0;
  if (sound || ending.signal.aborted) await rm(runDirectory, { recursive: true, force: true });
  else say(`kept for a look: ${runDirectory}`);
  if (options.json && report !== undefined) process.stdout.write(`${JSON.stringify(report)}\n`);
  return sound || (ending.signal.aborted && broken === undefined && failures() === 0) ? 0 : 1;
};

/** Each process exports once a second: waits until all have told of the calls up to now. */
const lastExports = async (bookinfo: Bookinfo, ledger: CallLedger): Promise<void> => {
  const since = Date.now();
  const giveUpAt = since + LAST_EXPORT_LIMIT_MS;
  while (Date.now() < giveUpAt && bookinfo.callers.some((caller) => ledger.collectedAtMs(caller) < since)) {
    await sleep(50);
  }
};

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });

const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describe(error.cause)}`;
};

const tryKill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended in the meantime.
  }
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
