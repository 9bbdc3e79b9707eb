import type { Dispatcher } from "undici";
import type { Resolution } from "../routing/resolve-host.ts";
import { undici } from "../transport/undici.ts";
import type { FaceKit } from "./call-maker.ts";
import { type MeshDispatcher, originOf } from "./dispatcher.ts";
import { tracedDispatch } from "./own-machine-trace.ts";

/**
 * The mesh for callers that speak the handler dialect of undici 7 and older, such as the built-in fetch of Node.js 22 and
 * 24; present handlers are understood too. What is outside the mesh is handed on in its own dialect, untouched.
 */
export class LegacyDispatcher extends undici.Dispatcher {
  readonly #mesh: MeshDispatcher;
  readonly #kit: Pick<FaceKit, "hosts" | "counters" | "inherit" | "random">;
  readonly #outside: () => Dispatcher | undefined;
  readonly #translated: Dispatcher;

  /** @param outside a dispatcher that understands the old dialect; `undefined`: the mesh's own outside, translated. */
  constructor(
    mesh: MeshDispatcher,
    kit: Pick<FaceKit, "hosts" | "counters" | "inherit" | "random">,
    outside: () => Dispatcher | undefined,
  ) {
    super();
    this.#mesh = mesh;
    this.#kit = kit;
    this.#outside = outside;
    this.#translated = new undici.Dispatcher1Wrapper(mesh);
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (typeof handler.onRequestStart === "function") return this.#mesh.dispatch(options, handler);
    const outside = this.#outside();
    const to = outside === undefined ? undefined : this.#resolve(options);
    if (outside === undefined || to?.kind !== "outside") return this.#translated.dispatch(options, handler);
    this.#kit.counters.outside++;
    return outside.dispatch(tracedDispatch(this.#kit, to, options), handler);
  }

  get webSocketOptions(): unknown {
    return this.#mesh.webSocketOptions;
  }

  get eventSourceOptions(): unknown {
    return this.#mesh.eventSourceOptions;
  }

  override close(callback?: () => void): Promise<void> {
    return this.#mesh.close(callback);
  }

  override destroy(...args: unknown[]): Promise<void> {
    return this.#mesh.destroy(...args);
  }

  #resolve(options: Dispatcher.DispatchOptions): Resolution | undefined {
    try {
      return this.#kit.hosts.resolve(originOf(options));
    } catch {
      return undefined;
    }
  }
}
