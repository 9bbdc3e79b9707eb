import type { MeshServer } from "@tulle/server";
import type { Clock, Timer } from "@tulle/time";
import type { MeshSource } from "./mesh-source.ts";

/** How often the config-server is told, if something changed. */
const INTERVAL_MS = 5_000;

/** Tells the config-server who calls without an identity, for as long as the process serves. Returns the way to stop. */
export const reportPlaintext = (
  server: Pick<MeshServer, "plaintextCallers">,
  source: Pick<MeshSource, "reportPlaintext">,
  clock: Clock,
): (() => void) => {
  let timer: Timer;
  const report = (): void => {
    source.reportPlaintext(server.plaintextCallers());
    timer = clock.after(INTERVAL_MS, report);
  };
  timer = clock.after(INTERVAL_MS, report);
  return () => timer.cancel();
};
