import type { Balancer, ServicePolicy } from "@tulle/policy";
// Before undici: the mesh loads undici so that the built-in fetch stays what it was.
import { createMesh } from "tulle";
import { Agent, BalancedPool, type Dispatcher } from "undici";
import type { Fleet } from "./fleet.ts";
import { startHaproxy } from "./haproxy.ts";
import type { MakeCall } from "./open-loop.ts";

/** Something that spreads calls over the servers, ready to be called. */
export interface Opened extends AsyncDisposable {
  readonly call: MakeCall;
}

/** A balancer of ours or of others. */
export interface Contender {
  readonly name: string;
  readonly open: (fleet: Fleet) => Promise<Opened>;
}

/** Different users, for those that tell calls apart. */
const USERS = 1_000;

const userOf = (number: number): string => `user-${(number * 7_919) % USERS}`;

const ofMesh = (name: string, policy: Partial<ServicePolicy>): Contender => ({
  name,
  open: async ({ ports, credentials }) => {
    const mesh = createMesh({
      policies: [{ kind: "Service", name: "reviews", ...policy }],
      endpoints: { reviews: ports.map((port) => `127.0.0.1:${port}`) },
      service: "caller",
      credentials,
    });
    return {
      call: async (number, signal) => {
        const { statusCode, body } = await mesh.request("http://reviews/", {
          headers: { "x-user": userOf(number) },
          signal,
        });
        await body.text();
        return statusCode;
      },
      [Symbol.asyncDispose]: () => mesh.leave(),
    };
  },
});

const byUser = (algorithm: "ring-hash" | "maglev"): Contender =>
  ofMesh(algorithm, { balancer: { algorithm }, hashKey: [{ header: "x-user" }] });

const plain = (algorithm: Exclude<Balancer["algorithm"], "custom">): Contender =>
  ofMesh(algorithm, { balancer: { algorithm } });

/** The balancers of ours, over mTLS, with the mesh's defaults. */
export const ours: readonly Contender[] = [
  plain("round-robin"),
  plain("random"),
  plain("least-request"),
  ofMesh("least-request, full scan", { balancer: { algorithm: "least-request", selection: "full-scan" } }),
  byUser("ring-hash"),
  byUser("maglev"),
  // The blackout of 10 s would be longer than a run.
  ofMesh("weighted-round-robin", { balancer: { algorithm: "weighted-round-robin", blackoutPeriod: "1s" } }),
  plain("prequal"),
  plain("peak-ewma"),
];

/** undici's own balancer, over mTLS to the same servers, as it comes. */
export const balancedPool: Contender = {
  name: "undici.BalancedPool",
  open: async ({ ports, credentials, root }) => {
    const pool = new BalancedPool(
      ports.map((port) => `https://127.0.0.1:${port}`),
      {
        connect: {
          cert: credentials.certificateChain,
          key: credentials.privateKey,
          ca: root,
          // A SPIFFE certificate has no host name.
          checkServerIdentity: () => undefined,
        },
      },
    );
    return { call: throughDispatcher(pool, "https://reviews"), [Symbol.asyncDispose]: () => pool.destroy() };
  },
};

/** HAProxy between, over mTLS to the same servers. @param balance as in its configuration. */
export const haproxy = (balance: "random(2)" | "leastconn"): Contender => ({
  name: `HAProxy ${balance}`,
  open: async (fleet) => {
    const proxy = await startHaproxy(fleet, balance);
    const agent = new Agent({ connect: { socketPath: proxy.socketPath } });
    return {
      call: throughDispatcher(agent, "http://reviews"),
      [Symbol.asyncDispose]: async () => {
        await agent.destroy();
        await proxy[Symbol.asyncDispose]();
      },
    };
  },
});

const throughDispatcher =
  (dispatcher: Dispatcher, origin: string): MakeCall =>
  async (_number, signal) => {
    const { statusCode, body } = await dispatcher.request({ origin, path: "/", method: "GET", signal });
    await body.text();
    return statusCode;
  };
