import type { Endpoint, EndpointLocality, RegionFailover } from "@tulle/policy";

/** Where a member is, and what it carries. */
export interface Place {
  readonly locality: EndpointLocality | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** One step of a preference. */
export interface Tier {
  /** For people: `same zone`, `2 of 3 labels`. */
  readonly name: string;
  /** Lower is nearer. */
  readonly order: number;
}

const SAME_SUBZONE: Tier = { name: "same subzone", order: 0 };
const SAME_ZONE: Tier = { name: "same zone", order: 1 };
const SAME_REGION: Tier = { name: "same region", order: 2 };
const ELSEWHERE: Tier = { name: "elsewhere", order: 4 };

/**
 * How near a locality is, as far as the caller knows where it is itself: of a caller that knows its zone and no subzone all
 * endpoints of the zone are equally near.
 */
export const nearnessOf = (own: EndpointLocality | undefined, locality: EndpointLocality | undefined): Tier => {
  if (!isKnown(own) || (own?.region ?? "") !== (locality?.region ?? "")) return ELSEWHERE;
  if (isEmpty(own?.zone) || own?.zone !== locality?.zone) return SAME_REGION;
  return isEmpty(own?.subzone) || own?.subzone !== locality?.subzone ? SAME_ZONE : SAME_SUBZONE;
};

/** Whether anything is known of where somebody is. */
export const isKnown = (locality: EndpointLocality | undefined): boolean =>
  !(isEmpty(locality?.region) && isEmpty(locality?.zone) && isEmpty(locality?.subzone));

/** The tier of an endpoint by its locality; the region that stands in for the caller's own comes before all other regions. */
export const tierByLocality = (
  { locality: own }: Place,
  failover: readonly RegionFailover[],
): ((endpoint: Endpoint) => Tier) => {
  const next = failover.find(({ from }) => from === own?.region)?.to;
  const standIn: Tier = { name: `region ${next}`, order: 3 };
  return ({ locality }) => {
    const tier = nearnessOf(own, locality);
    return tier === ELSEWHERE && next !== undefined && locality?.region === next ? standIn : tier;
  };
};

/** The tier of an endpoint by how many labels of an order it carries, from the first one without a gap (Istio). */
export const tierByLabels = (place: Place, order: readonly string[]): ((endpoint: Endpoint) => Tier) => {
  const asked = order.map((label) => {
    const at = label.indexOf("=");
    const key = at === -1 ? label : label.slice(0, at);
    return { key, value: at === -1 ? labelOf(place, key) : label.slice(at + 1) };
  });
  return (endpoint) => {
    // What the caller does not carry itself nobody shares with it.
    const gap = asked.findIndex(({ key, value }) => value === undefined || labelOf(endpoint, key) !== value);
    const shared = gap === -1 ? asked.length : gap;
    return { name: `${shared} of ${asked.length} labels`, order: asked.length - shared };
  };
};

/** A label, or the part of the locality that a well-known label means. */
const labelOf = (
  {
    labels,
    locality,
  }: { readonly labels: Readonly<Record<string, string>>; readonly locality?: EndpointLocality | undefined },
  key: string,
): string | undefined => {
  const part = localityLabels.get(key);
  return labels[key] ?? (part === undefined ? undefined : locality?.[part]);
};

const localityLabels: ReadonlyMap<string, "region" | "zone" | "subzone"> = new Map([
  ["topology.kubernetes.io/region", "region"],
  ["topology.kubernetes.io/zone", "zone"],
  ["topology.istio.io/subzone", "subzone"],
]);

const isEmpty = (part: string | undefined): boolean => part === undefined || part === "";
