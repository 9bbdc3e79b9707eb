/**
 * An IP address or a range of them (CIDR). IPv4 addresses that are written as IPv6 ones (`::ffff:10.0.0.1`) are IPv4 addresses,
 * for that is how a socket that listens on both tells them.
 */
export interface IpRange {
  readonly version: 4 | 6;
  /** The address in groups of 16 bits: two or eight. */
  readonly groups: readonly number[];
  /** Bits that must agree. */
  readonly prefix: number;
}

/** Reads an address or a range: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`. `undefined`: it is none. */
export const parseIpRange = (text: string): IpRange | undefined => {
  const slash = text.indexOf("/");
  const groups = parseGroups(slash < 0 ? text : text.slice(0, slash));
  if (groups === undefined) return undefined;
  const bits = groups.length * GROUP_BITS;
  const written = slash < 0 ? `${bits}` : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(written) || Number(written) > bits) return undefined;
  const prefix = Number(written);
  if (groups.length === V4_GROUPS) return { version: 4, groups, prefix };
  if (prefix >= MAPPED_BITS && isMapped(groups)) {
    return { version: 4, groups: groups.slice(MAPPED_GROUPS), prefix: prefix - MAPPED_BITS };
  }
  return { version: 6, groups, prefix };
};

/** Reads one address; a zone (`fe80::1%eth0`) is left out of account. `undefined`: it is none. */
export const parseIpAddress = (text: string): IpRange | undefined => {
  const zone = text.indexOf("%");
  const address = zone < 0 ? text : text.slice(0, zone);
  return address.includes("/") ? undefined : parseIpRange(address);
};

/** Whether an address lies in a range. */
export const isInRange = (address: IpRange, range: IpRange): boolean => {
  if (address.version !== range.version) return false;
  let left = range.prefix;
  for (let at = 0; left > 0; at++) {
    const shift = left >= GROUP_BITS ? 0 : GROUP_BITS - left;
    if ((address.groups[at] ?? 0) >>> shift !== (range.groups[at] ?? 0) >>> shift) return false;
    left -= GROUP_BITS;
  }
  return true;
};

/** What is wrong with an address or range of a rule, if anything. */
export const wrongIpRange = (text: string): string | undefined => {
  if (text === "") return "an empty value fits nothing";
  return parseIpRange(text) === undefined
    ? `"${text}" is neither an IP address nor a range: write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"`
    : undefined;
};

const GROUP_BITS = 16;
const V4_GROUPS = 2;
const V6_GROUPS = 8;
const MAPPED_GROUPS = 6;
const MAPPED_BITS = 96;

const isMapped = (groups: readonly number[]): boolean =>
  groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);

const parseGroups = (text: string): readonly number[] | undefined => {
  if (!text.includes(":")) return parseV4(text);
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const first = parseHalf(head, tail === undefined);
  const last = tail === undefined ? [] : parseHalf(tail, true);
  if (first === undefined || last === undefined) return undefined;
  const missing = V6_GROUPS - first.length - last.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...first, ...new Array<number>(missing).fill(0), ...last];
};

/** The groups between colons; only at the end may an IPv4 address stand for two of them. */
const parseHalf = (text: string, atEnd: boolean): readonly number[] | undefined => {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [at, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const v4 = atEnd && at === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(...v4);
    }
  }
  return groups;
};

const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

const parseV4 = (text: string): readonly number[] | undefined => {
  const found = v4.exec(text);
  if (found === null) return undefined;
  const bytes = found.slice(1).map(Number);
  // A leading zero means octal to some and nothing to others.
  if (found.slice(1).some((byte) => byte.length > 1 && byte.startsWith("0")) || bytes.some((byte) => byte > 255)) {
    return undefined;
  }
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return [a * 256 + b, c * 256 + d];
};
