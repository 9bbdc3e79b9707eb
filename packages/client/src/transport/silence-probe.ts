import type { Connect } from "./connector.ts";
import type { PooledHandler } from "./pooled-client.ts";
import { SilenceWatch } from "./silence.ts";
import type { Transport } from "./transport.ts";

/** What a probe must know of its endpoint. */
export interface SilenceProbeOptions {
  readonly connect: Connect;
  /** Whether a finished connect proves that the process lives: not where the system alone accepts connections. */
  readonly provesLife: boolean;
  /** Hears that the endpoint owes answers, says nothing, and accepts no connection. */
  readonly onSilent: () => void;
  /** The exchanges that wait for their reply. */
  readonly awaiting: () => readonly PooledHandler[];
}

/** Asks an endpoint that says nothing whether it lives, by a handshake; looks at each turn of the loop's watch. */
export class SilenceProbe {
  readonly #options: SilenceProbeOptions;
  readonly #transport: Transport;
  readonly #watch: SilenceWatch;

  constructor(options: SilenceProbeOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#watch = new SilenceWatch(transport.clock.now());
  }

  /** Looks from now on; pair it with {@link stop}. */
  start(): void {
    const { home, lag } = this.#transport;
    home.runInAsyncScope(() => lag.hold(this.#look));
  }

  stop(): void {
    this.#transport.lag.release(this.#look);
  }

  /** The endpoint said something. */
  noteHeard(): void {
    this.#watch.heard++;
  }

  readonly #look = (): void => {
    const { clock, counters } = this.#transport;
    const { connect, provesLife, onSilent, awaiting } = this.#options;
    if (!provesLife || !this.#watch.isDue(awaiting().length > 0, clock.now())) return;
    counters.silenceProbes++;
    connect(undefined, (error, socket) => {
      socket?.destroy();
      if (error === null) this.#watch.answered(clock.now());
      else if (this.#watch.unanswered(clock.now())) {
        counters.silences++;
        onSilent();
        for (const handler of awaiting()) handler.silent();
      }
    });
  };
}
