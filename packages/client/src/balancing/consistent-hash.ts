import type { Random } from "@tulle/time";
import { type Hash64, randomHash, unitOf } from "../hashing/xxh64.ts";
import { endpointKey } from "./endpoint-key.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import type { HashedHost } from "./hash-ring.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import type { LoadMeasure } from "./load-measure.ts";
import type { Balanced, Outcome } from "./picker.ts";
import type { Weights } from "./weights.ts";

/** Where hashes lead: a ring or a Maglev table. Hosts are told by their places in the list that it was built from. */
export interface HashTable {
  readonly size: number;
  ownerAt(place: number): number;
  placeOf(hash: Hash64): number;
}

/** What makes a {@link ConsistentHash}. */
export interface ConsistentHashOptions {
  /** As a policy calls it: `ring-hash`, `maglev`. */
  readonly name: string;
  readonly build: (hosts: readonly HashedHost[]) => HashTable;
  /** An endpoint takes at most so many times its fair share of the calls in flight; `undefined`: as many as its keys bring. */
  readonly balanceFactor: number | undefined;
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
}

/**
 * Equal keys go to equal endpoints, in every client alike. Where an endpoint must be avoided, is new, or has more than its
 * bounded share, each of its keys goes on to another endpoint of its own, always the same one; the other keys stay. A call
 * without a key goes anywhere.
 */
export class ConsistentHash extends KeepingPicker {
  readonly name: string;
  readonly #build: (hosts: readonly HashedHost[]) => HashTable;
  readonly #balanceFactor: number | undefined;
  readonly #weights: Weights;
  readonly #random: Random;
  #known: Known | undefined;
  /** Calls in flight to all endpoints, as counted last and by what this picker began and ended since. */
  #inFlight = 0;
  #picksUntilCount = 0;

  constructor({ name, build, balanceFactor, weights, keeper, random }: ConsistentHashOptions) {
    super(keeper);
    this.name = name;
    this.#build = build;
    this.#balanceFactor = balanceFactor;
    this.#weights = weights;
    this.#random = random;
  }

  pick<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined {
    if (all.length <= 1) return all[0];
    const hash = key ?? randomHash(this.#random);
    if (this.#known?.of !== all) {
      this.#known = this.#learn(all);
      this.#picksUntilCount = 0;
    }
    const { table, hosts, totalWeight } = this.#known;
    const bound = this.#boundOf(hosts);
    let place = table.placeOf(hash);
    let first: Balanced | undefined;
    let untried: Balanced | undefined;
    // Every endpoint is met by then but for the unluckiest hashes of a table where many are avoided.
    for (let step = 1; step <= Math.min(table.size, LONGEST_WALK); step++) {
      const host = hosts[table.ownerAt(place)];
      // What goes on from an avoided endpoint goes to its neighbour, as if it were not there. What goes on from a full one
      // jumps: its neighbour would be the next to be full (arXiv 1908.08762).
      let next = place + 1;
      if (host !== undefined) {
        first ??= host;
        if (tried?.has(host.endpoint.id) !== true) {
          untried ??= host;
          // The hosts are the candidates themselves.
          if (!this.#hasRoom(host, bound, totalWeight)) next = place + jumpOf(hash, step);
          else if (this.#isGrown(host, hash, nowMs)) return host as C;
        }
      }
      place = next % table.size;
    }
    if (untried !== undefined) return untried as C;
    return all.find(({ endpoint }) => tried?.has(endpoint.id) !== true) ?? (first as C | undefined);
  }

  override start(candidate: Balanced, nowMs: number): void {
    super.start(candidate, nowMs);
    this.#inFlight++;
  }

  override end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    super.end(candidate, nowMs, outcome);
    this.#inFlight--;
  }

  protected override shownLoad(): LoadMeasure {
    // What is bounded where anything is; the key decides the rest.
    return ({ endpoint, figures }) => figures.inFlight / (endpoint.weight ?? 1);
  }

  #learn(all: readonly Balanced[]): Known {
    // By their addresses: clients that were told of the endpoints in another order build the same table.
    const hosts = all.toSorted((a, b) => (endpointKey(a) < endpointKey(b) ? -1 : 1));
    const table = this.#build(hosts.map((host) => ({ key: endpointKey(host), weight: host.endpoint.weight ?? 1 })));
    return { of: all, hosts, table, totalWeight: hosts.reduce((sum, { endpoint }) => sum + (endpoint.weight ?? 1), 0) };
  }

  /** Calls in flight that all endpoints may have together, this one included. */
  #boundOf(hosts: readonly Balanced[]): number {
    if (this.#balanceFactor === undefined) return Number.POSITIVE_INFINITY;
    // Other rules have pickers of their own over the same figures, so the count is made anew now and then.
    if (this.#picksUntilCount-- <= 0) {
      this.#picksUntilCount = Math.floor(hosts.length / COUNTED_PER_PICK);
      this.#inFlight = 0;
      for (const { figures } of hosts) this.#inFlight += figures.inFlight;
    }
    return (Math.max(0, this.#inFlight) + 1) * this.#balanceFactor;
  }

  #hasRoom({ endpoint, figures }: Balanced, bound: number, totalWeight: number): boolean {
    const share = Math.max(1, Math.ceil((bound * (endpoint.weight ?? 1)) / totalWeight));
    return figures.inFlight < share;
  }

  /** A newcomer gets, of its keys, the part that its slow start allows: always the same ones, and more by and by. */
  #isGrown(host: Balanced, hash: Hash64, nowMs: number): boolean {
    const share = this.#weights.of(host, nowMs) / (host.endpoint.weight ?? 1);
    return share >= 1 || unitOf({ high: hash.low, low: hash.high }) < share;
  }
}

/** What was built from a list of endpoints; another list gets another table. */
interface Known {
  readonly of: readonly Balanced[];
  readonly hosts: readonly Balanced[];
  readonly table: HashTable;
  readonly totalWeight: number;
}

/** Endpoints whose calls are counted for a pick, on the whole: services of up to so many are counted at each pick. */
const COUNTED_PER_PICK = 64;

/** Places that are looked at before any endpoint is taken that may be. */
const LONGEST_WALK = 4_096;

/** Another distance for each step, always the same for a key. */
const jumpOf = ({ low }: Hash64, step: number): number =>
  1 + (Math.imul(low ^ Math.imul(step, 0x9e3779b1), 0x85ebca6b) >>> 8);
