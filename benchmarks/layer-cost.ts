// What each step of the client's chain costs by itself, and what the whole chain costs, over a destination that answers at once.
import {
  buildNameIndex,
  DEFAULT_MESH,
  type Endpoint,
  type OutboundSnapshot,
  type RoutePolicy,
  type RouteRule,
  type ServiceKey,
  type ServiceSnapshot,
} from "@tulle/policy";
import { constant, systemClock } from "@tulle/time";
// The chain has no door to the outside: a call of the public kind always ends in a socket.
import { beginAttempt, MeshCall } from "../packages/client/src/call.ts";
import { assembleFront, type ClientParts, frontChain } from "../packages/client/src/chain.ts";
import { compileService } from "../packages/client/src/compile.ts";
import { hashSourceOf } from "../packages/client/src/hashing/hash-call.ts";
import { HeldCalls } from "../packages/client/src/layers/inject-fault.ts";
import { Mirrors } from "../packages/client/src/layers/mirror-call.ts";
import { Ledger } from "../packages/client/src/ledger.ts";
import type { Reply } from "../packages/client/src/reply.ts";
import { RouteTable, routeCall } from "../packages/client/src/routing/route-table.ts";
import type { AttemptSend, Send } from "../packages/client/src/send.ts";
import { ClientTelemetry } from "../packages/client/src/telemetry/client-telemetry.ts";
import { createTransport } from "../packages/client/src/transport/transport.ts";
import { alternate, type Contender, type Cost, type Effort, median } from "./alternate.ts";

/** What one step costs beyond an answer at once, microseconds of CPU per call. */
export interface LayerCost {
  readonly name: string;
  readonly micros: number;
}

/** What one run found out. */
export interface LayerCosts {
  readonly effort: Effort;
  /** A call made and answered by nobody: what is taken off every step. */
  readonly calibration: Cost;
  readonly layers: readonly LayerCost[];
  readonly chains: readonly LayerCost[];
}

const reply: Reply = {
  status: 200,
  statusText: "OK",
  rawHeaders: ["content-type", "application/json"],
  headers: { "content-type": "application/json" },
  take: () => {
    throw new Error("nobody reads it");
  },
  discard: () => undefined,
  onDone: (listener) => listener(undefined),
};

const answer: Send = () => Promise.resolve(reply);

const answerAttempt: AttemptSend = (_call, attempt) => {
  attempt.progress = "answered";
  attempt.status = reply.status;
  return Promise.resolve(reply);
};

const callOf = (): MeshCall => {
  const call = new MeshCall({
    method: "GET",
    authority: "reviews",
    port: 80,
    path: "/reviews/7?full=1",
    service: "default/reviews",
    headers: ["accept", "application/json", "cookie", "session=1"],
    body: null,
    replayable: true,
    options: {},
    startedAtMs: systemClock.now(),
    inherited: undefined,
  });
  call.carrier = { carry: answerAttempt };
  return call;
};

/** Rules that between them use every step. */
const rules: readonly RouteRule[] = [
  { name: "plain", match: [{ path: { prefix: "/reviews" } }] },
  {
    name: "changed",
    cors: { allowOrigins: [{ exact: "https://shop.example" }] },
    fault: { headers: { "x-fault": { present: true } }, abort: { status: 503 } },
    rewrite: { path: "/other", host: "other.example" },
    requestHeaders: { set: { "x-tenant": "a" }, remove: ["cookie"] },
    responseHeaders: { set: { "x-served": "a" } },
    mirror: [{ percent: 0.0001 }],
    hedge: { delay: "10s" },
  },
];

const route: RoutePolicy = { kind: "Route", name: "reviews", services: ["reviews"], rules };

const snapshotWith = (routes: readonly RoutePolicy[]): OutboundSnapshot => {
  const entry: ServiceSnapshot = {
    key: "default/reviews",
    policy: { kind: "Service", name: "reviews" },
    routes,
    endpoints: [1, 2, 3].map(
      (at): Endpoint => ({
        id: `reviews-${at}`,
        address: `127.0.0.${at}`,
        port: 1,
        transport: "plaintext",
        labels: {},
        health: "healthy",
        serviceAccount: "reviews",
      }),
    ),
  };
  return {
    revision: "bench.1",
    mesh: DEFAULT_MESH,
    names: buildNameIndex([entry], "default"),
    services: new Map<ServiceKey, ServiceSnapshot>([[entry.key, entry]]),
  };
};

/** Who calls; nobody asks where it is. */
const member = { service: "default/bench", locality: undefined, labels: {} } as const;

const openClient = () => {
  const transport = createTransport({ clock: systemClock, random: Math.random, credentials: constant(undefined) });
  const ledger = new Ledger({ clock: systemClock, random: Math.random, transport, member });
  // Every counter that a layer raises; nobody reads them here.
  const counters = new Proxy({} as ClientParts["counters"], {
    get: (target, name) => Reflect.get(target, name) ?? 0,
  });
  const parts: ClientParts = {
    clock: systemClock,
    random: Math.random,
    telemetry: new ClientTelemetry(),
    source: { service: "bench", namespace: "default" },
    counters,
    held: new HeldCalls(),
    mirrors: new Mirrors({ clock: systemClock, counters, discover: () => Promise.resolve() }),
    hashSource: hashSourceOf("default/bench", Math.random),
    notice: () => undefined,
  };
  const source = { service: "bench", namespace: "default", labels: {}, principal: undefined };
  return { parts, ledger, kit: { parts, ledger, viewer: { source, random: Math.random } } };
};

type OpenClient = ReturnType<typeof openClient>;

/** Every step that the rules use, once, over an answer at once. */
const layersOf = ({ parts, kit }: OpenClient): readonly Contender[] => {
  const snapshot = snapshotWith([route]);
  const [service] = snapshot.services.values();
  if (service === undefined) throw new Error("there is a service");
  new RouteTable(snapshot, kit, raise);
  const compiled = compileService(service, snapshot, kit);
  const found = new Map<string, () => Promise<unknown>>();
  const add = (name: string, send: Send): void => {
    if (!found.has(name)) found.set(name, () => send(callOf()));
  };
  const addAttempt = (name: string, send: AttemptSend): void =>
    add(name, (call) => send(call, beginAttempt(call, call.startedAtMs)));
  addAttempt("an attempt's record alone", answerAttempt);
  for (const { name, step } of frontChain(parts, answer).call) add(name, step(answer));
  for (const { chain, destinations } of compiled.rules.values()) {
    for (const { name, step } of chain.call) add(name, step(answer));
    for (const { chain: below } of destinations) {
      for (const { name, step } of below.call) add(name, step(answer));
      add(below.attempts.name, below.attempts.step(answerAttempt));
      for (const { name, step } of below.attempt) addAttempt(name, step(answerAttempt));
      addAttempt(below.endpoint.name, below.endpoint.step);
    }
  }
  return [...found].map(([name, call]) => ({ name, call }));
};

/** Whole chains: as every call meets them without a policy, and under each rule. */
const chainsOf = ({ parts, kit }: OpenClient): readonly Contender[] => {
  const whole = (name: string, routes: readonly RoutePolicy[]): Contender => {
    const table = new RouteTable(snapshotWith(routes), kit, raise);
    const send = assembleFront(
      frontChain(
        parts,
        routeCall(table, () => Promise.resolve(), systemClock),
      ),
    );
    return { name, call: () => send(callOf()) };
  };
  const [, changed] = rules;
  return [
    whole("whole chain, no route", []),
    whole("whole chain, a route with one rule", [{ ...route, rules: rules.slice(0, 1) }]),
    whole("whole chain, a rule with every step", [{ ...route, rules: changed === undefined ? [] : [changed] }]),
  ];
};

const raise = (_revision: string, problem: unknown): never => {
  throw problem;
};

/** Measures all steps and chains, each in turn. */
export const measureLayerCosts = async (effort: Effort): Promise<LayerCosts> => {
  const client = openClient();
  const layers = layersOf(client);
  const chains = chainsOf(client);
  const nothing: Contender = { name: "a call answered by nobody", call: () => answer(callOf()) };
  const [calibration, ...costs] = await alternate([nothing, ...layers, ...chains], effort);
  await client.ledger.close();
  if (calibration === undefined) throw new Error("the calibration did not run");
  const beyond = ({ name, rounds }: Cost): LayerCost => ({
    name,
    micros: median(rounds.map((micros, round) => micros - (calibration.rounds[round] ?? Number.NaN))),
  });
  return {
    effort,
    calibration,
    layers: costs.slice(0, layers.length).map(beyond),
    chains: costs.slice(layers.length).map(beyond),
  };
};

/** The table for people. */
export const printLayerCosts = ({ effort, calibration, layers, chains }: LayerCosts): string => {
  const width = Math.max(...[calibration, ...layers, ...chains].map(({ name }) => name.length));
  const line = ({ name, micros }: LayerCost): string =>
    `${name.padEnd(width)}  ${micros.toFixed(2).padStart(6)} µs  (${(micros / calibration.cpuMicros).toFixed(1)})`;
  return [
    `CPU per call of each step alone, beyond that of a call answered by nobody (and how many times that); median of ${effort.rounds} rounds of ${effort.calls}`,
    "",
    `${calibration.name.padEnd(width)}  ${calibration.cpuMicros.toFixed(2).padStart(6)} µs`,
    "",
    ...layers.map(line),
    "",
    ...chains.map(line),
    "",
  ].join("\n");
};
