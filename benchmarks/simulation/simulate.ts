import {
  type Balanced,
  beginCall,
  createPicker,
  type LoadReport,
  LocalityPicker,
  newFigures,
  noteReached,
  noteSent,
  noteUnreachable,
  OutlierDetector,
  outcomeOfStatus,
  type Picker,
  pickUsable,
} from "@tulle/client/balancing";
import {
  DEFAULT_PANIC_THRESHOLD,
  type EffectiveBalancer,
  type EffectiveLocality,
  type Endpoint,
  effectiveOutlierDetection,
} from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { EventQueue } from "./event-queue.ts";
import { type Ending, MEAN_SERVICE_MS, ServerModel, SLOTS } from "./server-model.ts";

/** What happens in a simulation. */
export interface Scenario {
  readonly name: string;
  readonly clients: number;
  readonly servers: number;
  /** Share of what all servers together can do when they are well, 0 to 1. */
  readonly utilization: number;
  readonly seconds: number;
  /** Whether clients leave out endpoints that fail. */
  readonly outlierDetection: boolean;
  /** Zones that clients and servers are spread over, one after the other. @default 1 */
  readonly zones?: number;
  /** How clients prefer zones. @default not at all */
  readonly locality?: EffectiveLocality;
  /** Arranges what goes wrong, and when. */
  readonly arrange?: (world: World) => void;
}

/** What a scenario may change. */
export interface World {
  readonly events: EventQueue;
  readonly servers: readonly ServerModel[];
  /** The zone of each server. */
  readonly zoneOf: (server: number) => number;
  /** Tells all clients which servers the registry knows, as a push would. */
  readonly announce: (members: readonly number[]) => void;
  readonly random: () => number;
}

/** What came of it. Requests of the first fifth do not count: nobody had learnt anything yet. */
export interface Result {
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Share of the answers that each server gave, of all. */
  readonly shares: readonly number[];
  /** Share of the requests of the clients in each zone that servers in each zone got, by client's zone, then server's. */
  readonly flows: readonly (readonly number[])[];
  /** The most requests that a server had at a time, over all servers, and on the median server. */
  readonly mostInFlight: number;
  readonly medianMostInFlight: number;
}

/** Runs a scenario under a balancer. Equal seeds give equal results: nothing but chance from the seed and virtual time is in it. */
export const simulate = (scenario: Scenario, balancer: EffectiveBalancer, seed = 1): Result => {
  const random = seededRandom(seed);
  const events = new EventQueue();
  const servers = Array.from({ length: scenario.servers }, () => new ServerModel(events, random));
  const { zones = 1 } = scenario;
  const zoneOf = (place: number): number => place % zones;
  const endpoints = servers.map((_, place) => endpointOf(place, zoneOf(place)));
  const clients = Array.from(
    { length: scenario.clients },
    (_, place) => new ClientModel(scenario, balancer, { zone: zoneOf(place), endpoints, random }),
  );
  const sent = Array.from({ length: zones }, () => Array.from({ length: zones }, () => 0));
  const untilMs = scenario.seconds * 1_000;
  const countsFromMs = untilMs / 5;
  const latencies: number[] = [];
  let errors = 0;

  const send = (client: ClientModel): void => {
    const startedAtMs = events.nowMs;
    const call = client.begin(startedAtMs);
    if (call === undefined) {
      if (startedAtMs >= countsFromMs) errors++;
      return;
    }
    const row = sent[client.zone];
    const to = zoneOf(call.server);
    if (row !== undefined && startedAtMs >= countsFromMs) row[to] = (row[to] ?? 0) + 1;
    servers[call.server]?.handle((ending, report) => {
      client.end(call, events.nowMs, events.nowMs - startedAtMs, ending, report);
      if (startedAtMs < countsFromMs) return;
      latencies.push(events.nowMs - startedAtMs);
      if (ending !== "answered") errors++;
    });
  };
  const perSecond = (scenario.servers * SLOTS * 1_000 * scenario.utilization) / MEAN_SERVICE_MS;
  const meanGapMs = (1_000 * scenario.clients) / perSecond;
  for (const client of clients) {
    const next = (): void => {
      if (events.nowMs >= untilMs) return;
      send(client);
      events.after(-Math.log(1 - random()) * meanGapMs, next);
    };
    events.after(-Math.log(1 - random()) * meanGapMs, next);
  }
  const announce = (members: readonly number[]): void => {
    for (const client of clients) client.announce(members, events.nowMs);
  };
  scenario.arrange?.({ events, servers, zoneOf, announce, random });
  events.run();

  latencies.sort((a, b) => a - b);
  const answered = servers.reduce((sum, server) => sum + server.answered, 0);
  const most = servers.map(({ mostInFlight }) => mostInFlight).sort((a, b) => a - b);
  return {
    requests: latencies.length,
    errors,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    p999Ms: quantile(latencies, 0.999),
    shares: servers.map((server) => server.answered / answered),
    flows: sent.map((row) => row.map((count) => count / row.reduce((sum, each) => sum + each, 0))),
    mostInFlight: most.at(-1) ?? 0,
    medianMostInFlight: most[Math.floor(most.length / 2)] ?? 0,
  };
};

interface SimulatedCall {
  readonly candidate: Balanced;
  readonly server: number;
  readonly isProbe: boolean;
}

/** Where a client is, and what it may call. */
interface ClientPlace {
  readonly zone: number;
  readonly endpoints: readonly Endpoint[];
  readonly random: () => number;
}

/** One client: the balancer, the figures and the outlier detection that a member of a mesh has, without its sockets. */
class ClientModel {
  readonly zone: number;
  readonly #picker: Picker;
  readonly #random: () => number;
  readonly #outliers: OutlierDetector | undefined;
  #all: readonly Balanced[];
  readonly #endpoints: readonly Endpoint[];

  constructor(scenario: Scenario, balancer: EffectiveBalancer, { zone, endpoints, random }: ClientPlace) {
    this.zone = zone;
    this.#random = random;
    this.#endpoints = endpoints;
    this.#all = endpoints.map((endpoint) => ({ endpoint, figures: newFigures(0) }));
    const makePicker = (): Picker => createPicker(balancer, { random });
    this.#picker =
      scenario.locality === undefined
        ? makePicker()
        : new LocalityPicker({
            policy: scenario.locality,
            place: { locality: localityOf(zone), labels: {} },
            makePicker,
            random,
          });
    const policy = effectiveOutlierDetection({ kind: "Service", name: "simulated" });
    this.#outliers =
      scenario.outlierDetection && policy !== undefined
        ? new OutlierDetector({ policy, all: () => this.#all, random, nowMs: 0 })
        : undefined;
  }

  begin(nowMs: number): SimulatedCall | undefined {
    const candidate = pickUsable(this.#picker, this.#all, undefined, nowMs, DEFAULT_PANIC_THRESHOLD, this.#random);
    if (candidate === undefined) return undefined;
    const isProbe = this.#outliers !== undefined && beginCall(candidate.figures.outlier, nowMs);
    noteSent(candidate.figures.reach, nowMs);
    this.#picker.start(candidate, nowMs);
    return { candidate, server: candidate.endpoint.port, isProbe };
  }

  end(
    { candidate, isProbe }: SimulatedCall,
    nowMs: number,
    rttMs: number,
    ending: Ending,
    report: LoadReport | undefined,
  ): void {
    const { reach } = candidate.figures;
    if (ending === "unreachable") noteUnreachable(reach, nowMs, this.#random);
    else noteReached(reach);
    const outcome = ending === "unreachable" ? "local-origin" : outcomeOfStatus(ending === "failed" ? 500 : 200);
    this.#outliers?.observe(candidate, outcome, isProbe, nowMs);
    if (report !== undefined) this.#picker.report?.(candidate, nowMs, report);
    this.#picker.end(candidate, nowMs, { rttMs, failed: ending !== "answered" });
  }

  /** Whoever stays keeps its figures; whoever comes is new. */
  announce(members: readonly number[], nowMs: number): void {
    const known = new Map(this.#all.map((candidate) => [candidate.endpoint.port, candidate]));
    this.#all = members.flatMap((place) => {
      const endpoint = this.#endpoints[place];
      return endpoint === undefined ? [] : [known.get(place) ?? { endpoint, figures: newFigures(nowMs) }];
    });
  }
}

/** A server's place stands for its port. */
const endpointOf = (place: number, zone: number): Endpoint => ({
  id: `server-${place}`,
  address: `10.0.0.${place}`,
  port: place,
  transport: "plaintext",
  labels: {},
  health: "healthy",
  serviceAccount: "simulated",
  locality: localityOf(zone),
});

const localityOf = (zone: number): { readonly region: string; readonly zone: string } => ({
  region: "simulated",
  zone: String(zone),
});

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
