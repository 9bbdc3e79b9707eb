import type { Fields } from "../fields.ts";

/** Longest name of a host, an object or a namespace's object (Gateway API). */
const LONGEST_NAME = 253;

const label = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const dnsName = new RegExp(`^${label}(?:\\.${label})*$`);

/** What is wrong with a host without wildcard (PreciseHostname), if anything. */
export const wrongHostname = (text: string): string | undefined =>
  dnsName.test(text) && text.length <= LONGEST_NAME ? undefined : `"${text}" is no name of a host`;

/** What is wrong with a name of a part of a document (SectionName), if anything. */
export const wrongSectionName = (text: string): string | undefined =>
  dnsName.test(text) && text.length <= LONGEST_NAME
    ? undefined
    : `"${text}" is no name: write lower-case letters, digits, "-" and "."`;

/** What is wrong with a host that may begin with `*.` (Hostname), if anything. */
export const wrongHostnamePattern = (text: string): string | undefined =>
  text.length <= LONGEST_NAME ? wrongHostname(text.replace(/^\*\./, "")) : `"${text}" is no name of a host`;

const LONGEST_HEADER_NAME = 256;

/** What is wrong with a name of a header or a parameter, if anything. */
export const wrongHeaderName = (text: string): string | undefined =>
  /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(text) && text.length <= LONGEST_HEADER_NAME
    ? undefined
    : `"${text}" is no name of a header or parameter`;

/** What is wrong with a namespace, if anything. */
export const wrongNamespace = (text: string): string | undefined =>
  new RegExp(`^${label}$`).test(text) && text.length <= 63 ? undefined : `"${text}" is no namespace`;

const HIGHEST_PORT = 65_535;

/** Reads a port. */
export const readPort = <F extends string>(fields: Fields<F>, name: F): number | undefined => {
  const port = fields.integer(name);
  if (port !== undefined && (port < 1 || port > HIGHEST_PORT)) fields.refuse(name, `${port} is no port`);
  return port;
};

/** Refuses a list with more items than the Gateway API allows. */
export const checkCount = <F extends string>(
  fields: Fields<F>,
  name: F,
  items: readonly unknown[] | undefined,
  most: number,
): void => {
  if ((items?.length ?? 0) > most) fields.refuse(name, `${items?.length} are more than ${most}`);
};

/** Refuses a list that names something twice. */
export const checkDistinct = <F extends string>(fields: Fields<F>, name: F, items: readonly string[]): void => {
  const twice = items.find((item, at) => items.indexOf(item) < at);
  if (twice !== undefined) fields.refuse(name, `"${twice}" is there twice`);
};
