import { MeshError } from "@tulle/policy";
import type { Clock, Watched } from "@tulle/time";
import type { AgentState } from "./agent-state.ts";
import type { ConnectFailure } from "./connect-failure.ts";

/** What waiting for a member to be ready looks at. */
export interface ReadinessSources {
  readonly state: Watched<AgentState>;
  /** How the last attempt ended; `undefined` once one worked. */
  readonly failure: Watched<ConnectFailure | undefined>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Who waits, and for whom: for the error. */
  readonly member: string;
  readonly server: string;
}

/** See `Agent.ready`. */
export const untilJoined = (sources: ReadinessSources): Promise<void> =>
  new Promise((resolve, reject) => {
    const { state, failure, clock, timeoutMs } = sources;
    const settle = (error?: MeshError): void => {
      timer.cancel();
      for (const stop of stops) stop();
      if (error === undefined) resolve();
      else reject(error);
    };
    const look = (): void => {
      const at = state.current.state;
      const last = failure.current;
      if (at === "joined") settle();
      else if (at === "leaving" || at === "left")
        settle(new MeshError("MESH_CLOSED", { message: "the mesh was left" }));
      else if (last?.lasting) settle(new MeshError("JOIN_REFUSED", { message: last.message, cause: last }));
    };
    const timer = clock.after(timeoutMs, () => settle(tooLate(sources)));
    const stops = [state.subscribe(look), failure.subscribe(look)];
    look();
  });

const tooLate = ({ state, failure, timeoutMs, member, server }: ReadinessSources): MeshError => {
  const at = state.current;
  const lacks = at.state === "unready" ? `${at.server} has not sent: ${at.missing.join(", ")}` : undefined;
  return new MeshError("JOIN_TIMEOUT", {
    message: `${member} did not become ready within ${timeoutMs} ms`,
    hint: lacks ?? failure.current?.message ?? `no answer from ${server}`,
    cause: failure.current,
  });
};
