import { DEFAULT_OVERPROVISIONING_PERCENT, type EffectiveLocality } from "@tulle/policy";
import { type Behaviour, WELL } from "./server-model.ts";
import type { Scenario, World } from "./simulate.ts";

const SLOW = { slowness: 10, fails: false };
const FAILING = { slowness: 1, fails: true };
const UNREACHABLE = { slowness: 1, fails: false, unreachable: true };

/** Tiers by zone, with Envoy's overprovisioning. */
export const NEAREST_FIRST: EffectiveLocality = {
  mode: "failover",
  failover: [],
  failoverPriority: undefined,
  overprovisioningPercent: DEFAULT_OVERPROVISIONING_PERCENT,
};
const SECONDS = 20;

/** What goes wrong, for a fleet of any size. */
type Trouble = Pick<Scenario, "name" | "arrange" | "zones" | "locality"> & {
  readonly title: string;
  readonly utilization?: number;
};

const troubles: readonly Trouble[] = [
  { name: "calm", title: "Nothing goes wrong" },
  {
    name: "one-slow",
    title: "One server is ten times slower",
    arrange: ({ servers }) => {
      const [slow] = servers;
      if (slow !== undefined) slow.behaviour = SLOW;
    },
  },
  {
    name: "one-failing",
    title: "One server fails at once",
    arrange: ({ servers }) => {
      const [failing] = servers;
      if (failing !== undefined) failing.behaviour = FAILING;
    },
  },
  {
    name: "slow-minority",
    title: "A fifth of the servers is ten times slower",
    arrange: ({ servers }) => {
      for (const server of servers.slice(0, Math.ceil(servers.length / 5))) server.behaviour = SLOW;
    },
  },
  { name: "rolling-restart", title: "The servers restart one after the other", arrange: (world) => restart(world) },
  {
    name: "antagonist",
    title: "Neighbours take half of some servers' CPU, come and go",
    arrange: (world) => disturb(world),
  },
  {
    name: "zone-loss",
    title: "One of three zones cannot be reached for a while, at half the load, calls stay in their zone",
    utilization: 0.5,
    zones: 3,
    locality: NEAREST_FIRST,
    arrange: (world) => loseZone(world),
  },
];

/** A third of the servers takes no connection from the second fifth of the time to the fourth. */
const loseZone = ({ events, servers, zoneOf }: World): void => {
  const lost = servers.filter((_, place) => zoneOf(place) === 1);
  const behave = (behaviour: Behaviour) => (): void => {
    for (const server of lost) server.behaviour = behaviour;
  };
  events.at(SECONDS * 400, behave(UNREACHABLE));
  events.at(SECONDS * 800, behave(WELL));
};

/** Each server is out of the registry for a moment, then comes back new. */
const restart = ({ events, servers, announce }: World): void => {
  const turnMs = (SECONDS * 1_000) / servers.length;
  const all = servers.map((_, place) => place);
  for (const place of all) {
    events.at(place * turnMs, () => announce(all.filter((other) => other !== place)));
    events.at((place + 0.9) * turnMs, () => announce(all));
  }
};

/** At each moment about a third of the servers runs at half its speed, for one to three seconds each. */
const disturb = ({ events, servers, random }: World): void => {
  for (const server of servers) {
    const next = (): void => {
      if (events.nowMs >= SECONDS * 1_000) return;
      server.behaviour = { ...WELL, slowness: random() < 1 / 3 ? 2 : 1 };
      events.after(1_000 + 2_000 * random(), next);
    };
    events.after(0, next);
  }
};

/** Every trouble for a large fleet and for one as most services are. */
export const scenarios: readonly (Scenario & { readonly title: string })[] = [100, 5].flatMap((size) =>
  troubles.map(({ name, title, utilization = 0.7, ...rest }) => ({
    name: `${name}-${size}`,
    title: `${title}: ${size} clients, ${size} servers`,
    clients: size,
    servers: size,
    utilization,
    seconds: SECONDS,
    outlierDetection: true,
    ...rest,
  })),
);
