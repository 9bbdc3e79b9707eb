import { MeshError } from "@tulle/policy";

/**
 * An option that must be one of a few words. Types say so already; JavaScript and configuration files do not read them.
 *
 * @throws MeshError INVALID_CALL when it is another.
 */
export const checkOption = <Word extends string>(name: string, value: Word, allowed: readonly Word[]): Word => {
  if (allowed.includes(value)) return value;
  throw new MeshError("INVALID_CALL", {
    message: `${name} is ${JSON.stringify(value)}`,
    hint: `write one of ${allowed.join(", ")}`,
  });
};
