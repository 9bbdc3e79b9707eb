import { createRequire } from "node:module";

/** Where undici 6 and 7, and the `fetch` built into Node.js 22 and 24, keep their global dispatcher. */
const LEGACY_GLOBAL_DISPATCHER: unique symbol = Symbol.for("undici.globalDispatcher.1") as never;

/**
 * Loads undici and leaves the built-in `fetch` as it was: undici 8 claims the legacy global dispatcher when it is loaded,
 * after which a built-in `fetch` of Node.js 22 and 24 would run on another version's sockets and options.
 */
const loadUndici = (): typeof import("undici") => {
  const global = globalThis as { [LEGACY_GLOBAL_DISPATCHER]?: unknown };
  const before = global[LEGACY_GLOBAL_DISPATCHER];
  // From Node.js 26 on, both copies share the newer symbol and the first one keeps it; reading a class of the built-in
  // copy loads it, so that it comes first. It claims the legacy symbol too, which its own fetch does not read.
  if (Number.parseInt(process.versions.undici ?? "0", 10) >= 8) void globalThis.Headers;
  try {
    // `require` returns an untyped module; this is the one whose types are imported.
    return createRequire(import.meta.url)("undici") as typeof import("undici");
  } finally {
    // undici defines the property as not configurable but writable: it cannot be taken away, only given back.
    if (global[LEGACY_GLOBAL_DISPATCHER] !== before) global[LEGACY_GLOBAL_DISPATCHER] = before;
  }
};

/** undici 8. The one place from which this package takes undici's values; its types may be imported anywhere. */
export const undici: typeof import("undici") = loadUndici();
