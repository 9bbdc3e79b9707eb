import { MeshError } from "@tulle/policy";

const LARGEST = 1_000_000;

/**
 * How many idle connections the process keeps: the option, else TULLE_MAX_IDLE_CONNECTIONS; `undefined` where neither is given.
 *
 * @throws MeshError INVALID_CALL when it is no whole number from 1 to 1,000,000.
 */
export const maxIdleConnectionsOf = (option: number | undefined, variable: string | undefined): number | undefined => {
  const given = option ?? (variable === undefined ? undefined : Number(variable));
  if (given === undefined || (Number.isInteger(given) && given >= 1 && given <= LARGEST)) return given;
  throw new MeshError("INVALID_CALL", {
    message:
      option === undefined
        ? `TULLE_MAX_IDLE_CONNECTIONS is ${JSON.stringify(variable)}`
        : `maxIdleConnections is ${JSON.stringify(option)}`,
    hint: "write a whole number from 1 to 1,000,000",
  });
};
