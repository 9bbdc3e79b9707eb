import type { AccessCondition, AccessOperation, AccessPolicy, AccessRule, AccessSource } from "../src/access-policy.ts";
import type { AccessQuestion } from "../src/access-question.ts";
import type { VerifiedToken } from "../src/verified-token.ts";

// A slow evaluator of access policies, written after Istio's documents alone, in the plainest way: every value is looked at for
// every call, and patterns become regular expressions. It shares no code with the real one.

/** What is said about a call, in the order in which policies speak. */
export interface ReferenceVerdict {
  /** Authorizers that are asked, in no order. */
  readonly asks: ReadonlySet<string>;
  readonly allowed: boolean;
  /** Audit policies of which a rule fits. */
  readonly audits: ReadonlySet<string>;
}

/** Decides by policies that are all enforced. */
export const referenceVerdict = (
  policies: readonly AccessPolicy[],
  question: AccessQuestion,
  trustDomains: readonly string[],
): ReferenceVerdict => {
  const fitting = (action: AccessPolicy["action"]): readonly AccessPolicy[] =>
    policies.filter(
      (policy) =>
        (policy.action ?? "allow") === action &&
        (policy.rules ?? []).some((rule) =>
          ruleFits(rule, question, {
            trustDomains,
            namespace: policy.namespace ?? "default",
            refuses: action !== "allow",
          }),
        ),
    );
  const denied = fitting("deny").length > 0;
  const guarded = policies.some((policy) => (policy.action ?? "allow") === "allow");
  return {
    asks: new Set(fitting("custom").map((policy) => policy.authorizer ?? "")),
    allowed: !denied && (!guarded || fitting("allow").length > 0),
    audits: new Set(fitting("audit").map((policy) => policy.name)),
  };
};

interface Around {
  /** All names of the mesh's own domain. */
  readonly trustDomains: readonly string[];
  readonly namespace: string;
  readonly refuses: boolean;
}

const ruleFits = (rule: AccessRule, question: AccessQuestion, around: Around): boolean =>
  (rule.from === undefined || rule.from.some((source) => sourceFits(source, question, around))) &&
  (rule.to === undefined || rule.to.some((operation) => operationFits(operation, question, around))) &&
  (rule.when ?? []).every((condition) => conditionFits(condition, question, around));

/** A field holds when any of its values fits, and its negation when none does. */
const holds = <T>(
  values: readonly T[] | undefined,
  notValues: readonly T[] | undefined,
  refuses: boolean,
  fits: (value: T, wide: boolean) => boolean,
): boolean =>
  (values === undefined || values.some((value) => fits(value, refuses))) &&
  (notValues === undefined || !notValues.some((value) => fits(value, !refuses)));

const sourceFits = (source: AccessSource, question: AccessQuestion, around: Around): boolean => {
  const { refuses } = around;
  return (
    holds(source.principals, source.notPrincipals, refuses, (value) => principalFits(value, question, around)) &&
    holds(source.requestPrincipals, source.notRequestPrincipals, refuses, (value) => userFits(value, question.token)) &&
    holds(source.namespaces, source.notNamespaces, refuses, (value) => textFits(value, question.namespace)) &&
    holds(source.serviceAccounts, source.notServiceAccounts, refuses, (value) =>
      accountFits(value, question, around),
    ) &&
    holds(source.trustDomains, source.notTrustDomains, refuses, (value) => domainFits(value, question, around)) &&
    holds(source.addresses, source.notAddresses, refuses, (value) => addressFits(value, question.address)) &&
    holds(source.remoteAddresses, source.notRemoteAddresses, refuses, (value) =>
      addressFits(value, question.remoteAddress),
    )
  );
};

const operationFits = (operation: AccessOperation, question: AccessQuestion, { refuses }: Around): boolean =>
  holds(operation.hosts, operation.notHosts, refuses, (value) =>
    value === "*" ? question.host !== undefined : textFits(value.toLowerCase(), question.host?.toLowerCase()),
  ) &&
  holds(operation.ports, operation.notPorts, refuses, (value) => value === question.port) &&
  holds(operation.methods, operation.notMethods, refuses, (value) => textFits(value, question.method)) &&
  holds(operation.paths, operation.notPaths, refuses, (value, wide) => pathFits(value, question.path, wide));

const conditionFits = (
  { key, values, notValues }: AccessCondition,
  question: AccessQuestion,
  around: Around,
): boolean => holds(values, notValues, around.refuses, (value) => attributeFits(key, value, question, around));

const attributeFits = (key: string, value: string, question: AccessQuestion, around: Around): boolean => {
  const { token } = question;
  const name = key.slice(key.indexOf("[") + 1, -1);
  if (key.startsWith("request.headers[")) {
    const header = question.header?.(name.toLowerCase());
    return value === "*" ? header !== undefined : textFits(value, header);
  }
  if (key.startsWith("request.auth.claims[")) {
    let found: unknown = token?.claims;
    for (const step of name.split("][")) {
      found =
        typeof found === "object" && !Array.isArray(found)
          ? Object.entries(found ?? {}).find(([each]) => each === step)?.[1]
          : undefined;
    }
    return [found].flat().some((each) => typeof each === "string" && textFits(value, each));
  }
  if (key === "source.ip") return addressFits(value, question.address);
  if (key === "remote.ip") return addressFits(value, question.remoteAddress);
  if (key === "destination.ip") return addressFits(value, question.destinationAddress);
  if (key === "destination.port") return Number(value) === question.port;
  if (key === "source.namespace") return textFits(value, question.namespace);
  if (key === "source.principal") return principalFits(value, question, around);
  if (key === "source.serviceAccount") return accountFits(value, question, around);
  if (key === "request.auth.principal") return userFits(value, token);
  if (key === "request.auth.audiences") return (token?.audiences ?? []).some((each) => textFits(value, each));
  if (key === "request.auth.presenter") return textFits(value, token?.presenter);
  if (key === "connection.sni") return textFits(value, question.sni);
  throw new Error(`the reference knows no ${key}`);
};

const quoted = (text: string): string =>
  text.replaceAll(/[^A-Za-z0-9]/g, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);

/** `*` is anything that is not empty; `*end` and `start*`; a star elsewhere is a star. */
const textFits = (pattern: string, value: string | undefined): boolean => {
  if (value === undefined || value === "") return false;
  const source =
    pattern === "*"
      ? ".+"
      : pattern.startsWith("*")
        ? `.*${quoted(pattern.slice(1))}`
        : pattern.endsWith("*")
          ? `${quoted(pattern.slice(0, -1))}.*`
          : quoted(pattern);
  return new RegExp(`^(?:${source})$`, "su").test(value);
};

const principalFits = (pattern: string, { principal }: AccessQuestion, { trustDomains }: Around): boolean => {
  const domain = /^[^/]*(?=\/)/.exec(pattern)?.[0];
  const isOwn = domain !== undefined && ["cluster.local", ...trustDomains].includes(domain);
  const patterns = isOwn ? trustDomains.map((each) => each + pattern.slice(domain.length)) : [pattern];
  return patterns.some((each) => textFits(each, principal));
};

const domainFits = (pattern: string, { trustDomain }: AccessQuestion, { trustDomains }: Around): boolean =>
  ["cluster.local", ...trustDomains].includes(pattern)
    ? trustDomain !== undefined && trustDomains.includes(trustDomain)
    : textFits(pattern, trustDomain);

const accountFits = (value: string, { namespace, serviceAccount }: AccessQuestion, around: Around): boolean => {
  const [first = "", second] = value.split("/");
  return second === undefined
    ? namespace === around.namespace && serviceAccount === first
    : namespace === first && serviceAccount === second;
};

/** Issuer and subject are compared apart; a star may stand at the beginning of the issuer or at the end of the subject. */
const userFits = (pattern: string, token: VerifiedToken | undefined): boolean => {
  if (token === undefined || token.issuer === "" || token.subject === "") return false;
  const slash = pattern.lastIndexOf("/");
  if (pattern === "*") return true;
  if (slash >= 0) {
    const [issuer, subject] = [pattern.slice(0, slash), pattern.slice(slash + 1)];
    const issuerFits = pattern.startsWith("*") ? textFits(issuer, token.issuer) : issuer === token.issuer;
    const anySubject = !pattern.startsWith("*") && pattern.endsWith("*");
    return issuerFits && (anySubject ? textFits(subject, token.subject) : subject === token.subject);
  }
  if (pattern.startsWith("*")) return textFits(pattern, token.subject);
  if (pattern.endsWith("*")) return textFits(pattern, token.issuer);
  return false;
};

const pathFits = (pattern: string, path: string, wide: boolean): boolean => {
  if (!pattern.includes("{*}") && !pattern.includes("{**}")) return textFits(pattern, path);
  const one = wide ? "[^/]" : "[A-Za-z0-9\\-._~%!$&'()+,;:@]";
  const source = pattern
    .split(/(\{\*\*?\})/)
    .map((part) => (part === "{*}" ? `${one}+` : part === "{**}" ? `(?:${one}|/)*` : quoted(part)))
    .join("");
  return new RegExp(`^${source}$`, "su").test(path);
};

/** Addresses as bits, in IPv6 form: IPv4 ones below ::ffff:0:0. */
const bitsOf = (address: string): string => {
  const v4 = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const tail = v4 === null ? address : address.replace(v4[0], hexOf(v4.slice(1).map(Number)));
  const whole = address.includes(":") ? tail : `::ffff:${tail}`;
  const [head = "", rest] = whole.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = rest === undefined || rest === "" ? [] : rest.split(":");
  const middle = rest === undefined ? [] : new Array<string>(8 - first.length - last.length).fill("0");
  return [...first, ...middle, ...last]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
};

const hexOf = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string =>
  `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;

const addressFits = (range: string, address: string | undefined): boolean => {
  if (address === undefined) return false;
  const [base = "", written] = range.split("/");
  const isV4 = !base.includes(":");
  const length = written === undefined ? 128 : Number(written) + (isV4 ? 96 : 0);
  // A range of IPv6 addresses that is wider than that of the IPv4 ones holds none of these.
  if (!isV4 && length < 96 && bitsOf(address).startsWith(`${"0".repeat(80)}${"1".repeat(16)}`)) return false;
  return bitsOf(address).slice(0, length) === bitsOf(base).slice(0, length);
};
