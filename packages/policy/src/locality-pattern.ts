import type { Endpoint } from "./endpoint.ts";

/** What is known of a place; parts that are not known are left out. */
export type EndpointLocality = NonNullable<Endpoint["locality"]>;

/** How people and explanations name a locality: `region/zone/subzone`, without empty parts at the end; `""` if nothing is known. */
export const localityName = (locality: EndpointLocality | undefined): string => {
  const { region = "", zone = "", subzone = "" } = locality ?? {};
  return `${region}/${zone}/${subzone}`.replace(/\/+$/, "");
};

/**
 * Whether a locality is meant by a pattern: `region/zone/subzone`, each part exactly, `*` at the end for all below. Parts that
 * the pattern does not name do not matter: `eu` is all of it (Istio).
 */
export const fitsLocality = (pattern: string, locality: EndpointLocality | undefined): boolean => {
  const { region = "", zone = "", subzone = "" } = locality ?? {};
  const parts = [region, zone, subzone];
  for (const [at, asked] of pattern.split("/").entries()) {
    if (asked === "*") return true;
    if (asked !== parts[at]) return false;
  }
  return true;
};

/** What is wrong with a pattern of localities, if anything. */
export const wrongLocalityPattern = (text: string): string | undefined => {
  const parts = text.split("/");
  const star = parts.indexOf("*");
  const isWhole = parts.length <= 3 && parts.every((part) => part !== "" && (part === "*" || !part.includes("*")));
  return isWhole && (star === -1 || star === parts.length - 1)
    ? undefined
    : `"${text}" is not a locality: write "region/zone/subzone", "region/zone/*", "region/*" or "*"`;
};
