import type { Dispatcher } from "undici";
import { undici } from "../transport/undici.ts";

/** Where undici 8 keeps the global dispatcher. */
const CURRENT = Symbol.for("undici.globalDispatcher.2");
/** Where undici 6 and 7 keep it, and with them the built-in fetch of Node.js 22 and 24. */
const LEGACY = Symbol.for("undici.globalDispatcher.1");

type Globals = { [CURRENT]?: Dispatcher | undefined; [LEGACY]?: Dispatcher | undefined };
// Symbols are not part of the type of globalThis.
const globals = globalThis as unknown as Globals;

/** What stood where the mesh stands now. */
interface Replaced {
  readonly current: Dispatcher | undefined;
  readonly legacy: Dispatcher | undefined;
}

/**
 * Puts the mesh in the place of the global dispatcher, so that every built-in `fetch` of the process goes through it, and
 * takes it out again. What was there before is what hosts outside the mesh are handed to.
 */
export class Installation {
  readonly #dispatcher: Dispatcher;
  readonly #legacy: Dispatcher;
  #replaced: Replaced | undefined;
  #spare: Dispatcher | undefined;

  constructor(dispatcher: Dispatcher, legacy: Dispatcher) {
    this.#dispatcher = dispatcher;
    this.#legacy = legacy;
  }

  /** May be called again without effect. */
  install(): void {
    if (this.#replaced !== undefined) return;
    // Reading a class of the built-in fetch loads it, and with it the dispatcher that it would have used.
    void globalThis.Headers;
    this.#replaced = { current: undici.getGlobalDispatcher(), legacy: globals[LEGACY] };
    undici.setGlobalDispatcher(this.#dispatcher);
    globals[LEGACY] = this.#legacy;
  }

  /** Restores what was there, unless somebody else has taken the place since: what they chain to goes on working. */
  uninstall(): void {
    const replaced = this.#replaced;
    if (replaced === undefined) return;
    this.#replaced = undefined;
    if (globals[CURRENT] === this.#dispatcher) globals[CURRENT] = replaced.current;
    if (globals[LEGACY] === this.#legacy) globals[LEGACY] = replaced.legacy;
  }

  /** The dispatcher that the process would use without the mesh. */
  get outside(): Dispatcher {
    const found = this.#replaced?.current ?? undici.getGlobalDispatcher();
    if (found !== this.#dispatcher) return found;
    // Somebody made the mesh global by hand; what is outside it then gets sockets of its own.
    this.#spare ??= new undici.Agent();
    return this.#spare;
  }

  /** The same in the old dialect; `undefined` where there is none. */
  get legacyOutside(): Dispatcher | undefined {
    const found = this.#replaced === undefined ? globals[LEGACY] : this.#replaced.legacy;
    return found === this.#legacy ? undefined : found;
  }
}
