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

/** The installations of this process, by their dispatchers: they stand in for one another. */
const installations = new WeakMap<Dispatcher, Installation>();

/** A dispatcher, or what it stood for if it was an installation that is gone. */
const standing = (found: Dispatcher | undefined, as: keyof Replaced): Dispatcher | undefined => {
  const gone = found === undefined ? undefined : installations.get(found)?.gone;
  return gone === undefined ? found : standing(gone[as], as);
};

/**
 * Puts the mesh in the place of the global dispatcher, so that every built-in `fetch` of the process goes through it, and
 * takes it out again. What was there before is what hosts outside the mesh are handed to.
 */
export class Installation {
  readonly #dispatcher: Dispatcher;
  readonly #legacy: Dispatcher;
  #replaced: Replaced | undefined;
  /** What stood there before, for as long as somebody who took the place since may still chain to us. */
  #before: Replaced | undefined;
  #spare: Dispatcher | undefined;

  constructor(dispatcher: Dispatcher, legacy: Dispatcher) {
    this.#dispatcher = dispatcher;
    this.#legacy = legacy;
    installations.set(dispatcher, this).set(legacy, this);
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
    this.#before = replaced;
    if (globals[CURRENT] === this.#dispatcher) globals[CURRENT] = standing(replaced.current, "current");
    if (globals[LEGACY] === this.#legacy) globals[LEGACY] = standing(replaced.legacy, "legacy");
  }

  /** What stands in our place once we are gone; `undefined` while we stand there ourselves. */
  get gone(): Replaced | undefined {
    return this.#replaced === undefined ? this.#before : undefined;
  }

  /** Whether somebody who took the place after us would come round to us again. */
  get #chained(): Replaced | undefined {
    const found = globals[CURRENT];
    const other = found === undefined ? undefined : installations.get(found);
    return other === undefined || other === this ? undefined : this.#before;
  }

  /** The dispatcher that the process would use without the mesh. */
  get outside(): Dispatcher {
    const found = (this.#replaced ?? this.#chained)?.current ?? undici.getGlobalDispatcher();
    if (found !== this.#dispatcher) return found;
    // Somebody made the mesh global by hand; what is outside it then gets sockets of its own.
    this.#spare ??= new undici.Agent();
    return this.#spare;
  }

  /** The same in the old dialect; `undefined` where there is none. */
  get legacyOutside(): Dispatcher | undefined {
    const replaced = this.#replaced ?? this.#chained;
    const found = replaced === undefined ? globals[LEGACY] : replaced.legacy;
    return found === this.#legacy ? undefined : found;
  }
}
