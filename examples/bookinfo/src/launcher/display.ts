import type { CallLedger } from "../telemetry/call-ledger.ts";
import { LiveScreen, type ScreenOutput } from "../telemetry/live-screen.ts";
import type { OtlpReceiver } from "../telemetry/otlp-receiver.ts";
import { renderTable } from "../telemetry/table.ts";
import type { Bookinfo } from "./bookinfo.ts";
import type { Load } from "./load.ts";

/** What the table is made of. */
export interface DisplayedRun {
  readonly bookinfo: Bookinfo;
  readonly ledger: CallLedger;
  readonly receiver: OtlpReceiver;
  readonly load: Load;
}

const WINDOW_MS = 10_000;
const REFRESH_MS = 1_000;
/** Where the table cannot be redrawn in place, it is printed anew now and then. */
const REPRINT_MS = 5_000;

/** The live table of a run, the lines above it, and the policy revision that it shows. */
export class Display {
  readonly #screen: LiveScreen;
  readonly #color: boolean;
  #timer: NodeJS.Timeout | undefined;
  #revision = "";
  #configServerAway = false;

  constructor(output: ScreenOutput, env: NodeJS.ProcessEnv) {
    this.#screen = new LiveScreen(output);
    this.#color = output.isTTY === true && !env.NO_COLOR;
  }

  /** The revision that the config-server told last. */
  get revision(): string {
    return this.#revision;
  }

  /** Writes a line that stays. */
  say(line: string): void {
    this.#screen.say(line);
  }

  /** Draws the table now and then, until {@link finish}. */
  show(run: DisplayedRun): void {
    run.ledger.beginWindow(Date.now());
    const refresh = async (): Promise<void> => {
      await this.#readRevision(run.bookinfo);
      // What was asked for before the end must not draw after it.
      if (this.#timer !== undefined) this.#draw(run);
    };
    this.#timer = setInterval(() => void refresh(), this.#screen.inPlace ? REFRESH_MS : REPRINT_MS);
  }

  /** Draws the table for the last time. */
  async finish(run: DisplayedRun): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#readRevision(run.bookinfo);
    this.#draw(run);
  }

  /** What is in force stays in force while the config-server is away. */
  async #readRevision(bookinfo: Bookinfo): Promise<void> {
    try {
      const { revision } = await bookinfo.members();
      this.#revision = revision;
      this.#configServerAway = false;
    } catch {
      this.#configServerAway = true;
    }
  }

  #draw({ bookinfo, ledger, receiver, load }: DisplayedRun): void {
    const total = ledger.total();
    const failed = total.reduce((sum, edge) => sum + edge.failures, 0);
    const away = this.#configServerAway ? " (the config-server is away)" : "";
    const notes = [
      `policy revision ${this.#revision}${away}; failed calls between members: ${failed}`,
      `visitors of ${bookinfo.pageUrl}: ${load.requests} pages, ${load.failures} failed`,
      ...(load.lastFailure === undefined ? [] : [`last failed page: ${load.lastFailure}`]),
      ...(load.skipped === 0 ? [] : [`visits not made because too many were under way: ${load.skipped}`]),
      ...(receiver.refused.last === undefined ? [] : [`telemetry that could not be read: ${receiver.refused.last}`]),
      ...(ledger.dropped === 0 ? [] : [`telemetry beyond the bounds: ${ledger.dropped}`]),
    ];
    const recent = ledger.recent(Date.now(), WINDOW_MS);
    this.#screen.draw(renderTable({ total, recent, notes, color: this.#color }));
  }
}
