import { MeshError } from "@tulle/policy";

/** Where a config-server listens. */
export interface ServerAddress {
  /** An IP address without brackets, or a name. */
  readonly host: string;
  readonly port: number;
  /** As it was given, for people. */
  readonly url: string;
}

/** The port of the mesh, when an address names none. */
const DEFAULT_PORT = 7117;

/**
 * Reads one address or several, separated by commas: `wss://mesh.example:7117`, `https://[::1]:7117`.
 *
 * @throws MeshError INVALID_CALL when one is no address, or would not be encrypted.
 */
export const parseServerAddresses = (text: string): readonly ServerAddress[] => {
  const addresses = text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .map(parseOne);
  if (addresses.length === 0) throw invalid(text, "it is empty");
  return addresses;
};

const parseOne = (text: string): ServerAddress => {
  const url = URL.parse(text);
  if (url === null || url.hostname === "") throw invalid(text, "it is no URL");
  if (url.protocol !== "wss:" && url.protocol !== "https:") throw invalid(text, "only TLS is spoken");
  if (url.username !== "" || url.password !== "") throw invalid(url.host, "a join token goes into its own option");
  const port = url.port === "" ? (/:443\/?$/.test(text) ? 443 : DEFAULT_PORT) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port, url: text };
};

const invalid = (text: string, why: string): MeshError =>
  new MeshError("INVALID_CALL", {
    message: `"${text}" is not the address of a config-server: ${why}`,
    hint: "write wss://host:port",
  });
