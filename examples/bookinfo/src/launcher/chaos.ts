import { setTimeout as sleep } from "node:timers/promises";
import type { RenewResult } from "@tulle/protocol";
import type { Bookinfo } from "./bookinfo.ts";

/** What the script needs beside the application. */
export interface ChaosOptions {
  readonly say: (line: string) => void;
  /** Failed pages and calls so far. */
  readonly failures: () => number;
  /** Ends the script. */
  readonly signal: AbortSignal;
}

const CONFIG_SERVER_DOWN_MS = 6_000;
const REPLICA_DOWN_MS = 4_000;
const BREATH_MS = 2_000;
const VICTIM = "reviews-v1-b";

/**
 * Takes from the application, one after the other and under traffic, what a mesh must survive: its config-server, one
 * replica, and every certificate.
 *
 * @throws Error when something does not come back; AbortError when it was ended.
 */
export const runChaos = async (bookinfo: Bookinfo, options: ChaosOptions): Promise<void> => {
  const { say, failures, signal } = options;
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal });
  const closing = (done: string): void => say(`chaos: ${done}; failures so far: ${failures()}`);

  await pause(BREATH_MS);
  await loseConfigServer(bookinfo, say, pause);
  closing("the config-server is back");

  await pause(BREATH_MS);
  await loseReplica(bookinfo, say, pause);
  closing(`${VICTIM} is back`);

  await pause(BREATH_MS);
  await replaceCertificates(bookinfo, say, signal);
  closing("every certificate was replaced");
  await pause(BREATH_MS);
};

type Say = ChaosOptions["say"];
type Pause = (ms: number) => Promise<void>;

const loseConfigServer = async (bookinfo: Bookinfo, say: Say, pause: Pause): Promise<void> => {
  const { revision } = await bookinfo.members();
  say(`chaos: SIGKILL to the config-server, away for ${CONFIG_SERVER_DOWN_MS / 1_000} s`);
  await bookinfo.killConfigServer();
  await pause(CONFIG_SERVER_DOWN_MS);
  await bookinfo.startConfigServer();
  say("chaos: the config-server runs again on its store, waiting for the members");
  await bookinfo.eventually("reconnection of all members", async () => {
    const { members } = await bookinfo.members();
    return bookinfo.memberNames.every((name) => members.some(({ id, connected }) => connected && id === name));
  });
  const { revision: after } = await bookinfo.members();
  if (after !== revision) throw new Error(`the policy revision changed from ${revision} to ${after}`);
};

const loseReplica = async (bookinfo: Bookinfo, say: Say, pause: Pause): Promise<void> => {
  say(`chaos: SIGKILL to ${VICTIM}, one of two replicas`);
  await bookinfo.killMember(VICTIM);
  await bookinfo.unregistered(VICTIM);
  say(`chaos: ${VICTIM} has left the registry`);
  await pause(REPLICA_DOWN_MS);
  await bookinfo.restartMember(VICTIM);
};

const replaceCertificates = async (bookinfo: Bookinfo, say: Say, signal: AbortSignal): Promise<void> => {
  for (const name of bookinfo.memberNames) {
    signal.throwIfAborted();
    const before = await notAfterOf(bookinfo, name);
    await bookinfo.admin.post<RenewResult>("/v1/certificates/renew", { member: name });
    await bookinfo.eventually(`new certificate for ${name}`, async () => {
      const after = await notAfterOf(bookinfo, name);
      return after !== undefined && after !== before;
    });
    say(`chaos: ${name} has a new certificate`);
  }
};

/** A certificate's end tells it from its successor, as they are issued at different seconds. */
const notAfterOf = async (bookinfo: Bookinfo, name: string): Promise<number | undefined> => {
  const { members } = await bookinfo.members();
  return members.find(({ id }) => id === name)?.certificateNotAfterMs;
};
