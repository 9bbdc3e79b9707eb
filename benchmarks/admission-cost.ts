// What the whole admission costs the receiving side: mTLS, identity, 100 access rules, deadline and metrics, beside the bare framework.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createTestAuthority } from "@tulle/testing";
import { Agent, request } from "undici";
import type { CalleeOrder } from "./admission-cost-server.ts";
import { alternate, type Contender, type Cost, type Effort, ratioOf } from "./alternate.ts";

/** What one run found out. */
export interface AdmissionCosts {
  readonly effort: Effort;
  readonly rows: readonly AdmissionRow[];
}

/** One framework, CPU per request in the callee. */
export interface AdmissionRow {
  readonly framework: CalleeOrder["framework"];
  readonly bare: Cost;
  readonly admitted: Cost;
  readonly measured: Cost;
  /** How many times the bare one the admitted one takes. */
  readonly ratio: number;
  /** The same with OpenTelemetry's SDK for metrics at work. */
  readonly measuredRatio: number;
}

/** What {@link AdmissionRow.ratio} may be at most. */
export const ADMISSION_TARGET = 1.15;

const frameworks = ["node:http", "Express", "Fastify"] as const;
const ways = ["bare", "admitted", "measured"] as const;

/** What a member sends with each call. */
const headers = {
  "x-envoy-expected-rq-timeout-ms": "15000",
  "x-envoy-attempt-count": "1",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "user-agent": "bench",
  accept: "application/json",
};

/** Starts a process per contender, calls them in turn, and ends them. */
export const measureAdmissionCosts = async (effort: Effort): Promise<AdmissionCosts> => {
  const authority = await createTestAuthority();
  const caller = await authority.issue({ serviceAccount: "caller" });
  const credentials = await authority.issue({ serviceAccount: "reviews" });
  const agent = new Agent({
    connections: effort.inFlight,
    connect: {
      cert: caller.certificateChain,
      key: caller.privateKey,
      ca: [authority.root],
      // A SPIFFE certificate has no host name.
      checkServerIdentity: () => undefined,
    },
  });
  const children: ChildProcess[] = [];
  try {
    const contenders: Contender[] = [];
    for (const framework of frameworks) {
      for (const how of ways) {
        const child = fork(join(import.meta.dirname, "admission-cost-server.ts"), {
          stdio: ["ignore", "inherit", "inherit", "ipc"],
        });
        children.push(child);
        const order: CalleeOrder = { framework, how, credentials };
        child.send(order);
        contenders.push(await contenderOf(order, child, agent));
      }
    }
    const costs = await alternate(contenders, effort);
    return { effort, rows: frameworks.map((framework) => rowOf(framework, costs)) };
  } finally {
    for (const child of children) child.disconnect();
    await agent.destroy();
  }
};

const nameOf = ({ framework, how }: Pick<CalleeOrder, "framework" | "how">): string => `${framework}, ${how}`;

const contenderOf = async (order: CalleeOrder, child: ChildProcess, dispatcher: Agent): Promise<Contender> => {
  // The callee sends its port first, and afterwards what it has used.
  const [port] = (await Promise.race([once(child, "message"), failed(child, nameOf(order))])) as [number];
  const url = `https://127.0.0.1:${port}/reviews/7`;
  return {
    name: nameOf(order),
    call: async () => {
      const { statusCode, body } = await request(url, { dispatcher, headers });
      if (statusCode !== 200) throw new Error(`${nameOf(order)} answered ${statusCode}`);
      return body.text();
    },
    usage: async () => {
      child.send("usage");
      const [usage] = (await once(child, "message")) as [NodeJS.CpuUsage];
      return usage;
    },
  };
};

const failed = async (child: ChildProcess, name: string): Promise<never> => {
  await once(child, "exit");
  throw new Error(`${name} did not start`);
};

const rowOf = (framework: CalleeOrder["framework"], costs: readonly Cost[]): AdmissionRow => {
  const costOf = (how: CalleeOrder["how"]): Cost => {
    const found = costs.find(({ name }) => name === nameOf({ framework, how }));
    if (found === undefined) throw new Error(`${framework} did not run`);
    return found;
  };
  const [bare, admitted, measured] = [costOf("bare"), costOf("admitted"), costOf("measured")];
  return {
    framework,
    bare,
    admitted,
    measured,
    ratio: ratioOf(admitted, bare),
    measuredRatio: ratioOf(measured, bare),
  };
};

/** The table for people. */
export const printAdmissionCosts = ({ effort, rows }: AdmissionCosts): string => {
  const micros = ({ cpuMicros }: Cost): string => `${cpuMicros.toFixed(1)} µs`.padStart(12);
  return [
    `CPU per request in the callee over mTLS, bare and with the whole admission (100 access rules); median of ${effort.rounds} rounds of ${effort.calls} requests, ${effort.inFlight} in flight`,
    "",
    `${"".padEnd(10)}${"bare".padStart(12)}${"admitted".padStart(12)}${"+ SDK".padStart(12)}`,
    ...rows.map(
      ({ framework, bare, admitted, measured, ratio, measuredRatio }) =>
        `${framework.padEnd(10)}${micros(bare)}${micros(admitted)}${micros(measured)}   ${ratio.toFixed(2)} times (at most ${ADMISSION_TARGET}: ${ratio <= ADMISSION_TARGET ? "met" : "MISSED"}), ${measuredRatio.toFixed(2)} with OpenTelemetry's SDK for metrics`,
    ),
    "",
  ].join("\n");
};
