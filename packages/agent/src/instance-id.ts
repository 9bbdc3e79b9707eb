import cluster from "node:cluster";
import { randomBytes } from "node:crypto";

/** What an instance's id is made from. */
export interface InstanceIdSources {
  readonly service: string;
  readonly given: string | undefined;
  /** The slot of the state folder, from 0. */
  readonly slot: number | undefined;
  /** Kept in that slot by an earlier life. */
  readonly kept: string | undefined;
  /** Which worker of a cluster this is. */
  readonly worker: string | undefined;
}

/**
 * The id of this instance: the given one, made different for each process that shares it; else the one kept in the state
 * folder; else a new one.
 */
export const instanceIdOf = ({ service, given, slot, kept, worker }: InstanceIdSources): string => {
  if (given !== undefined) {
    if (slot !== undefined) return slot === 0 ? given : `${given}-${slot}`;
    return worker === undefined ? given : `${given}-w${worker}`;
  }
  return kept ?? `${service}-${randomBytes(6).toString("hex")}`;
};

/** The number of this worker under node:cluster or PM2; `undefined` in a process of its own. */
export const currentWorker = (environment: Readonly<Record<string, string | undefined>>): string | undefined =>
  cluster.worker === undefined ? environment.NODE_APP_INSTANCE : String(cluster.worker.id);
