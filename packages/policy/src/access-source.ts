import type { AccessSource } from "./access-policy.ts";
import type { AccessTest } from "./access-question.ts";
import { compileValues } from "./access-value.ts";
import { type IpRange, isInRange, parseIpAddress, parseIpRange } from "./ip-range.ts";
import { principalsMeant } from "./trust-domain-aliases.ts";

/** What a source means besides its values. */
export interface SourceReading {
  /** The mesh's own. */
  readonly trustDomain: string;
  /** Its other names. */
  readonly aliases: readonly string[];
  /** Of the policy. */
  readonly namespace: string;
}

/** In policies it means the mesh's own trust domain, whatever that is called (Istio). */
const LOCAL_TRUST_DOMAIN = "cluster.local";

/** SPIFFE IDs without the scheme, in all names of the mesh's trust domain. */
export const compilePrincipals = (principals: readonly string[], reading: SourceReading): AccessTest => {
  const fits = compileValues(allPrincipalsMeant(principals, reading));
  return ({ principal }) => fits(principal);
};

/** The principals that a rule means: those of the mesh's own trust domain under each of its names. */
export const allPrincipalsMeant = (
  principals: readonly string[],
  { trustDomain, aliases }: SourceReading,
): readonly string[] => principals.flatMap((principal) => principalsMeant(principal, trustDomain, aliases));

/** Trust domains of a peer's identity. */
export const compileTrustDomains = (
  domains: readonly string[],
  { trustDomain: own, aliases }: SourceReading,
): AccessTest => {
  const names = [own, ...aliases];
  const isOwn = (domain: string): boolean => domain === LOCAL_TRUST_DOMAIN || names.includes(domain);
  const fits = compileValues(domains.flatMap((domain) => (isOwn(domain) ? names : [domain])));
  return ({ trustDomain }) => fits(trustDomain);
};

/**
 * Namespaces of a peer's identity.
 *
 * @param wide whether an identity counts too that is no workload's, but has a `/ns/` with such a namespace somewhere. Istio
 *   always says so; here only a rule that refuses does.
 */
export const compileNamespaces = (namespaces: readonly string[], wide: boolean): AccessTest => {
  const fits = compileValues(namespaces);
  if (!wide) return ({ namespace }) => fits(namespace);
  const anywhere = namespaces.map((namespace) => patternOf(`.*/ns/${starred(namespace)}/.*`));
  return ({ namespace, principal }) => {
    if (fits(namespace)) return true;
    return namespace === undefined && principal !== undefined && anywhere.some((each) => each.test(`/${principal}`));
  };
};

/** Service accounts of a peer's identity: `account` or `namespace/account`. `wide` as for namespaces. */
export const compileServiceAccounts = (
  accounts: readonly string[],
  { namespace: own }: SourceReading,
  wide: boolean,
): AccessTest => {
  const written = accounts.map((account) => (account.includes("/") ? account : `${own}/${account}`));
  const exact = new Set(written);
  const anywhere = written.map((account) => {
    const slash = account.indexOf("/");
    const [namespace, name] = [account.slice(0, slash), account.slice(slash + 1)].map(escaped);
    return patternOf(`.+/ns/${namespace}/(?:.+/)?sa/${name}(?:/.+)?`);
  });
  return ({ namespace, serviceAccount, principal }) => {
    if (namespace !== undefined && serviceAccount !== undefined) return exact.has(`${namespace}/${serviceAccount}`);
    return wide && principal !== undefined && anywhere.some((each) => each.test(principal));
  };
};

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
const starred = (text: string): string => text.split("*").map(escaped).join(".*");
const patternOf = (source: string): RegExp => new RegExp(`^${source}$`, "s");

/** End users by issuer and subject. The last slash divides, for issuers may be URLs (Istio). */
export const compileRequestPrincipals = (principals: readonly string[]): AccessTest => {
  const tests = principals.map(requestPrincipalTest);
  return ({ token }) => {
    if (token === undefined || token.issuer === "" || token.subject === "") return false;
    for (const test of tests) if (test(token.issuer, token.subject)) return true;
    return false;
  };
};

const requestPrincipalTest = (value: string): ((issuer: string, subject: string) => boolean) => {
  if (value === "*") return () => true;
  const slash = value.lastIndexOf("/");
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? "" : value.slice(slash + 1);
  if (value.startsWith("*")) {
    if (slash < 0) return (_issuer, found) => found.endsWith(value.slice(1));
    return (found, of) => of === subject && found.endsWith(issuer.slice(1));
  }
  if (value.endsWith("*")) {
    if (slash < 0) return (found) => found.startsWith(value.slice(0, -1));
    return (found, of) => found === issuer && of.startsWith(subject.slice(0, -1));
  }
  return (found, of) => found === issuer && of === subject;
};

/** The attributes that hold an IP address. */
export type AddressAttribute = "address" | "remoteAddress" | "destinationAddress";

/** IP addresses and ranges. @throws RangeError for a text that is none. */
export const compileAddresses = (ranges: readonly string[], attribute: AddressAttribute): AccessTest => {
  const read = ranges.map((text): IpRange => {
    const range = parseIpRange(text);
    if (range === undefined) throw new RangeError(`"${text}" is neither an IP address nor a range`);
    return range;
  });
  // Connections carry many requests, and most services few callers.
  let lastText: string | undefined;
  let last = false;
  return (question) => {
    const text = question[attribute];
    if (text === undefined) return false;
    if (text === lastText) return last;
    const address = parseIpAddress(text);
    last = address !== undefined && read.some((range) => isInRange(address, range));
    lastText = text;
    return last;
  };
};

/** Every field of a source, so that a field that this version does not know can be told. */
export const sourceFields: ReadonlySet<string> = new Set([
  "principals",
  "notPrincipals",
  "requestPrincipals",
  "notRequestPrincipals",
  "namespaces",
  "notNamespaces",
  "serviceAccounts",
  "notServiceAccounts",
  "trustDomains",
  "notTrustDomains",
  "addresses",
  "notAddresses",
  "remoteAddresses",
  "notRemoteAddresses",
] satisfies (keyof AccessSource)[]);
