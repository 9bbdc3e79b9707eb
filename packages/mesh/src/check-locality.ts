import { type EndpointLocality, MeshError } from "@tulle/policy";

/** Longest part of a locality, characters: as the protocol bounds it. */
export const MAX_PART_LENGTH = 253;

const parts: ReadonlySet<string> = new Set(["region", "zone", "subzone"]);

/**
 * Holds a locality to its form: with a misspelt part every endpoint would be equally far.
 *
 * @throws MeshError INVALID_CALL with the place of the value.
 */
export const checkLocality = (place: string, locality: unknown): EndpointLocality | undefined => {
  if (locality === undefined) return undefined;
  const isObject = typeof locality === "object" && locality !== null && !Array.isArray(locality);
  if (!isObject) throw wrong(place, locality);
  for (const [part, value] of Object.entries(locality)) {
    const fits = typeof value === "string" && value.length <= MAX_PART_LENGTH;
    if (!parts.has(part) || !fits) throw wrong(`${place}.${part}`, value);
  }
  return locality;
};

const wrong = (place: string, value: unknown): MeshError =>
  new MeshError("INVALID_CALL", {
    message: `${place} is ${JSON.stringify(value) ?? typeof value}`,
    hint: `write { region, zone, subzone }, each a text of at most ${MAX_PART_LENGTH} characters, as far as they are known`,
  });
