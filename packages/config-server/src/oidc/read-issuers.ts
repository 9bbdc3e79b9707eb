import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { checkIssuers, type OidcIssuer } from "./oidc-issuer.ts";

/**
 * Reads the issuers that are believed from a YAML or JSON file: a list.
 *
 * @throws RangeError that names the file and what is wrong in it.
 */
export const readIssuers = async (file: string): Promise<readonly OidcIssuer[]> => {
  try {
    return checkIssuers(parse(await readFile(file, "utf8")));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RangeError(`the issuers in ${file} cannot be used: ${why}`, { cause: error });
  }
};
