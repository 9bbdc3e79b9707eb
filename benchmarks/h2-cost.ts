// What a call costs its caller in HTTP/2 and in HTTP/1.1, bare and through the mesh, to one callee that speaks both over mTLS.
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Credentials, ServicePolicy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
// Before undici: the mesh loads undici so that the built-in fetch stays what it was.
import { createMesh } from "tulle";
import { Agent, request } from "undici";
import { alternate, type Contender, type Cost, type Effort, ratioOf } from "./alternate.ts";
import type { CalleePorts } from "./call-cost-server.ts";

const names = {
  meshHttp1: "mesh.request, HTTP/1.1",
  meshHttp2: "mesh.request, HTTP/2",
  node: "node:http2, bare",
  undici: "undici.request with allowH2",
} as const;

/** Starts the callee, runs the contenders against it, and ends it. */
export const measureH2Costs = async (effort: Effort): Promise<readonly Cost[]> => {
  const authority = await createTestAuthority();
  const caller = await authority.issue({ serviceAccount: "caller" });
  const callee = fork(join(import.meta.dirname, "call-cost-server.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  try {
    callee.send(await authority.issue({ serviceAccount: "reviews" }));
    // The server sends one kind of message.
    const [{ http2: port }] = (await once(callee, "message")) as [CalleePorts];
    const { contenders, close } = openContenders(caller, port);
    const costs = await alternate(contenders, effort);
    await close();
    return costs;
  } finally {
    callee.kill();
  }
};

const openContenders = (
  credentials: Credentials,
  port: number,
): { readonly contenders: readonly Contender[]; readonly close: () => Promise<void> } => {
  const tls = {
    cert: credentials.certificateChain,
    key: credentials.privateKey,
    ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
    // A SPIFFE certificate has no host name; whether the peer is the right one is the mesh's work, not the bare client's.
    checkServerIdentity: () => undefined,
  };
  const meshOf = (protocol: NonNullable<ServicePolicy["protocol"]>) =>
    createMesh({
      policies: [{ kind: "Service", name: "reviews", protocol }],
      endpoints: { reviews: [`127.0.0.1:${port}`] },
      credentials,
    });
  const [http1, http2] = [meshOf("http"), meshOf("http2")];
  const agent = new Agent({ allowH2: true, connect: tls });
  const session = connect(`https://127.0.0.1:${port}`, tls);
  const url = "http://reviews/reviews/7";
  const bareUrl = `https://127.0.0.1:${port}/reviews/7`;
  return {
    contenders: [
      { name: names.meshHttp1, call: async () => (await http1.request(url)).body.text() },
      { name: names.meshHttp2, call: async () => (await http2.request(url)).body.text() },
      { name: names.node, call: () => text(session.request({ ":path": "/reviews/7" })) },
      { name: names.undici, call: async () => (await request(bareUrl, { dispatcher: agent })).body.text() },
    ],
    close: async () => {
      session.close();
      await Promise.all([http1.leave(), http2.leave(), agent.close()]);
    },
  };
};

/** For people. */
export const printH2Costs = (costs: readonly Cost[]): string => {
  const width = Math.max(...[...costs, ...h2Ratios(costs).map(([name]) => ({ name }))].map(({ name }) => name.length));
  return [
    "CPU per call in the caller, HTTP/2 beside HTTP/1.1 over mTLS",
    "",
    ...costs.map(({ name, cpuMicros }) => `${name.padEnd(width)}  ${cpuMicros.toFixed(1).padStart(6)} µs`),
    "",
    ...h2Ratios(costs).map(([name, ratio]) => `${name.padEnd(width)}  ${ratio.toFixed(2).padStart(6)}`),
    "",
  ].join("\n");
};

/** Pairs whose ratio says something: what HTTP/2 costs, and what the mesh adds to it. */
export const h2Ratios = (costs: readonly Cost[]): readonly (readonly [name: string, ratio: number])[] => {
  const costOf = (name: string): Cost => {
    const found = costs.find((cost) => cost.name === name);
    if (found === undefined) throw new Error(`${name} did not run`);
    return found;
  };
  const ratio = (above: string, below: string): readonly [string, number] => [
    `${above} / ${below}`,
    ratioOf(costOf(above), costOf(below)),
  ];
  return [
    ratio(names.meshHttp2, names.meshHttp1),
    ratio(names.meshHttp2, names.node),
    ratio(names.meshHttp2, names.undici),
  ];
};
