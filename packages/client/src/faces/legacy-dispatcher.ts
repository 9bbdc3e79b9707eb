import type { Dispatcher } from "undici";
import type { HostResolver } from "../routing/resolve-host.ts";
import { undici } from "../transport/undici.ts";
import { type MeshDispatcher, originOf } from "./dispatcher.ts";

/**
 * The mesh for callers that speak the handler dialect of undici 7 and older, such as the built-in fetch of Node.js 22 and
 * 24; present handlers are understood too. What is outside the mesh is handed on in its own dialect, untouched.
 */
export class LegacyDispatcher extends undici.Dispatcher {
  readonly #mesh: MeshDispatcher;
  readonly #hosts: HostResolver;
  readonly #outside: () => Dispatcher | undefined;
  readonly #translated: Dispatcher;

  /** @param outside a dispatcher that understands the old dialect; `undefined`: the mesh's own outside, translated. */
  constructor(mesh: MeshDispatcher, hosts: HostResolver, outside: () => Dispatcher | undefined) {
    super();
    this.#mesh = mesh;
    this.#hosts = hosts;
    this.#outside = outside;
    this.#translated = new undici.Dispatcher1Wrapper(mesh);
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (typeof handler.onRequestStart === "function") return this.#mesh.dispatch(options, handler);
    const outside = this.#outside();
    return outside !== undefined && this.#isOutside(options)
      ? outside.dispatch(options, handler)
      : this.#translated.dispatch(options, handler);
  }

  override close(callback?: () => void): Promise<void> {
    return this.#mesh.close(callback);
  }

  override destroy(...args: unknown[]): Promise<void> {
    return this.#mesh.destroy(...args);
  }

  #isOutside(options: Dispatcher.DispatchOptions): boolean {
    try {
      return this.#hosts.resolve(originOf(options)).kind === "outside";
    } catch {
      return false;
    }
  }
}
