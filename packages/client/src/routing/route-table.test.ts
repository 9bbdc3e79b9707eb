import {
  type Credentials,
  DEFAULT_MESH,
  type MeshPolicy,
  type OutboundSnapshot,
  type RoutePolicy,
  type ServicePolicy,
} from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { clientOf, endpointAt, snapshotOf } from "../../test/mesh-of-servers.ts";
import { RULES_PER_SLICE } from "./compilation.ts";

/** So many that they are compiled in several slices. */
const SERVICES = 5 * RULES_PER_SLICE;

const manyServices = (mesh: MeshPolicy, revision: string, over: Record<string, Partial<ServicePolicy>> = {}) => {
  const services = Array.from({ length: SERVICES }, (_, at) => {
    const name = `s${at}`;
    const routes: RoutePolicy[] = [{ kind: "Route", name, services: [name], rules: [{ name: revision }] }];
    return [name, { endpoints: [endpointAt(1)], routes, policy: over[name] ?? {} }] as const;
  });
  return snapshotOf(Object.fromEntries(services), mesh, revision);
};

const last = `http://s${SERVICES - 1}/`;

/** Turns of the event loop until the table has come to rest; far fewer than services. */
const turnsUntil = async (rested: () => boolean): Promise<number> => {
  for (let turns = 0; turns < SERVICES; turns++) {
    if (rested()) return turns;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("the table did not come to rest");
};

const seen = (client: ReturnType<typeof clientOf>) => {
  const of = (url: string) => client.explain(url);
  return [of("http://s0/").revision, of("http://s0/").rule, of(last).revision, of(last).rule];
};

const whole = (revision: string, rule = revision) => [revision, `s0/${rule}`, revision, `s${SERVICES - 1}/${rule}`];

test("a large change is compiled in slices, and the old revision serves whole until the new one is", async () => {
  const outbound = new Watchable<OutboundSnapshot>(manyServices(DEFAULT_MESH, "e.1"));
  await using client = clientOf(outbound);
  await turnsUntil(() => client.explain(last).revision === "e.1" && client.explain(last).rule !== undefined);
  expect(seen(client)).toEqual(whole("e.1"));
  outbound.set(manyServices({ ...DEFAULT_MESH }, "e.2"));
  const between: unknown[] = [];
  const turns = await turnsUntil(() => {
    between.push(seen(client));
    return client.explain(last).revision === "e.2";
  });
  expect(turns).toBeGreaterThan(1);
  expect(between.pop()).toEqual(whole("e.2"));
  for (const each of between) expect(each).toEqual(whole("e.1"));
});

test("a newer snapshot takes over, and what was compiled for an older one is not compiled again", async () => {
  const first = manyServices(DEFAULT_MESH, "e.1");
  const outbound = new Watchable<OutboundSnapshot>(first);
  await using client = clientOf(outbound);
  // Each turn brings another revision, in which endpoints changed and no policy did.
  let revision = 1;
  await turnsUntil(() => {
    if (client.explain(last).rule !== undefined) return true;
    outbound.set({ ...first, revision: `e.${++revision}` });
    return false;
  });
  expect(seen(client)).toEqual(whole(`e.${revision}`, "e.1"));
});

test("a snapshot that does not compile near its end leaves the last good one in force", async () => {
  const problems: string[] = [];
  const outbound = new Watchable<OutboundSnapshot>(manyServices(DEFAULT_MESH, "e.1"));
  await using client = clientOf(outbound, { onProblem: (revision) => problems.push(revision) });
  await turnsUntil(() => client.explain(last).rule !== undefined);
  const bad = manyServices({ ...DEFAULT_MESH }, "e.2");
  const broken = bad.services.get(`default/s${SERVICES - 1}`);
  if (broken === undefined) throw new Error("there is a last service");
  const routes: RoutePolicy[] = [{ kind: "Route", name: "r", services: ["s"], rules: [{ split: [{ subset: "v9" }] }] }];
  outbound.set({ ...bad, services: new Map([...bad.services, [broken.key, { ...broken, routes }]]) });
  await turnsUntil(() => problems.length > 0);
  expect(problems).toEqual(["e.2"]);
  expect(seen(client)).toEqual(whole("e.1"));
});

test("a first call waits for the service to be compiled, and asks nobody for it", async () => {
  const asked: string[] = [];
  const outbound = new Watchable<OutboundSnapshot>(manyServices(DEFAULT_MESH, "e.1"));
  await using client = clientOf(outbound, {
    discover: async (service) => {
      asked.push(service);
    },
  });
  // Nothing listens there; that it is tried shows that the call was routed.
  await expect(client.fetch(last, { mesh: { retry: false } })).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  expect(asked).toEqual([]);
});

test("while another identity's routes are compiled, those of the old one serve", async () => {
  const credentials = new Watchable<Credentials | undefined>(undefined);
  await using client = clientOf(manyServices(DEFAULT_MESH, "e.1"), { credentials });
  await turnsUntil(() => client.explain(last).rule !== undefined);
  credentials.set({
    generation: 1,
    spiffeId: "spiffe://cluster.local/ns/default/sa/web",
    certificateChain: "",
    privateKey: "",
    notBeforeMs: 0,
    notAfterMs: 0,
    bundles: [],
  });
  expect(seen(client)).toEqual(whole("e.1"));
});

test("a client that is closed compiles no more", async () => {
  const outbound = new Watchable<OutboundSnapshot>(manyServices(DEFAULT_MESH, "e.1"));
  const client = clientOf(outbound);
  await client.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(client.explain(last).rule).toBeUndefined();
});
