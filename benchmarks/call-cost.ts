// What a call costs its caller: bare, over mTLS, and through the mesh.
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
// Before undici: the mesh loads undici so that the built-in fetch stays what it was.
import { createMesh } from "tulle";
import { Agent, request } from "undici";
import { alternate, type Contender, type Cost, type Effort, ratioOf } from "./alternate.ts";
import type { CalleePorts } from "./call-cost-server.ts";

/** A promise about two contenders of one run. */
export interface Ratio {
  readonly name: string;
  readonly ratio: number;
  /** What the ratio may be at most. */
  readonly target: number;
}

/** Everything that one run found out. */
export interface CallCosts {
  readonly node: string;
  readonly effort: Effort;
  readonly costs: readonly Cost[];
  readonly ratios: readonly Ratio[];
}

const names = {
  undici: "undici.request, plaintext",
  undiciMutualTls: "undici.request, mTLS",
  meshRequest: "mesh.request, mTLS",
  meshFetch: "mesh.fetch, mTLS",
  fetch: "built-in fetch, plaintext",
} as const;

/** Starts the callee, runs the contenders against it, and ends it. */
export const measureCallCosts = async (effort: Effort): Promise<CallCosts> => {
  const authority = await createTestAuthority();
  const caller = await authority.issue({ serviceAccount: "caller" });
  const callee = fork(join(import.meta.dirname, "call-cost-server.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  try {
    callee.send(await authority.issue({ serviceAccount: "reviews" }));
    // The server sends one kind of message.
    const [ports] = (await once(callee, "message")) as [CalleePorts];
    const { contenders, close } = openContenders(caller, ports);
    const costs = await alternate(contenders, effort);
    await close();
    return { node: process.version, effort, costs, ratios: ratiosOf(costs) };
  } finally {
    callee.kill();
  }
};

const openContenders = (
  credentials: Credentials,
  ports: CalleePorts,
): { readonly contenders: readonly Contender[]; readonly close: () => Promise<void> } => {
  const plaintext = new Agent();
  const mutualTls = new Agent({
    connect: {
      cert: credentials.certificateChain,
      key: credentials.privateKey,
      ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
      // A SPIFFE certificate has no host name; whether the peer is the right one is the mesh's work, not the bare client's.
      checkServerIdentity: () => undefined,
    },
  });
  const mesh = createMesh({
    policies: [],
    endpoints: { reviews: [`127.0.0.1:${ports.mtls}`] },
    credentials,
  });
  const plaintextUrl = `http://127.0.0.1:${ports.plaintext}/reviews/7`;
  const mutualTlsUrl = `https://127.0.0.1:${ports.mtls}/reviews/7`;
  const meshUrl = "http://reviews/reviews/7";
  return {
    contenders: [
      { name: names.undici, call: async () => (await request(plaintextUrl, { dispatcher: plaintext })).body.text() },
      {
        name: names.undiciMutualTls,
        call: async () => (await request(mutualTlsUrl, { dispatcher: mutualTls })).body.text(),
      },
      { name: names.meshRequest, call: async () => (await mesh.request(meshUrl)).body.text() },
      { name: names.meshFetch, call: async () => (await mesh.fetch(meshUrl)).text() },
      { name: names.fetch, call: async () => (await fetch(plaintextUrl)).text() },
    ],
    close: async () => {
      await mesh.leave();
      await Promise.all([plaintext.close(), mutualTls.close()]);
    },
  };
};

const ratiosOf = (costs: readonly Cost[]): readonly Ratio[] => {
  const costOf = (name: string): Cost => {
    const found = costs.find((cost) => cost.name === name);
    if (found === undefined) throw new Error(`${name} did not run`);
    return found;
  };
  const ratio = (above: string, below: string, target: number): Ratio => ({
    name: `${above} / ${below}`,
    ratio: ratioOf(costOf(above), costOf(below)),
    target,
  });
  return [ratio(names.meshRequest, names.undiciMutualTls, 1.5), ratio(names.meshFetch, names.fetch, 0.45)];
};
