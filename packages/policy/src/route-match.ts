import { numberLimits, wrongHeaderName, wrongMethod, wrongPath, wrongReference } from "./field-limits.ts";
import { wrongTemplate } from "./path-template.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { referencedService, type ServiceKey, serviceKey } from "./service-name.ts";
import { compileStringMatch, type PathMatch, type RegexEngine, type StringMatch } from "./string-match.ts";

/** Which callers a rule is for. All fields that are set must match. A caller is itself all its life, so this costs a call nothing. */
export interface SourceMatch {
  /** The calling service: `productpage` of the route's namespace, `productpage.ns` or the long name. */
  readonly service?: string;
  /** The namespace of the calling service. */
  readonly namespace?: string;
  /** Labels that the calling instance carries, all of them. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The caller's SPIFFE ID without its scheme: `cluster.local/ns/default/sa/productpage`. Without a certificate it is absent. */
  readonly identity?: StringMatch;
  /** Turns the answer round. @default false */
  readonly invert?: boolean;
}

/** Which calls a rule is for. All fields that are set must match. */
export interface RouteMatch {
  readonly path?: PathMatch;
  /** Compare the path without case. For `exact`, `prefix`, `startsWith` and `template`; a regex says `(?i)`. @default false */
  readonly ignoreCase?: boolean;
  /** Upper-case method names, any of them. */
  readonly methods?: readonly string[];
  /** The method by another comparison than a list; upper case. */
  readonly method?: StringMatch;
  /** The scheme that the caller wrote, `http` or `https`; the mesh encrypts either. */
  readonly scheme?: StringMatch;
  /**
   * The host that the caller wrote, or the Host header that it set, without case. `exact` and `suffix` compare the port only if
   * they name one: `reviews` matches `reviews:8080` too; `prefix` and `regex` (in lower case) see it as it is sent.
   */
  readonly authority?: StringMatch;
  /** The service port that was called. Range 1 to 65,535. */
  readonly port?: number;
  /** By header name, compared without case. A header that is sent several times is joined with ",". */
  readonly headers?: Readonly<Record<string, StringMatch>>;
  /** By parameter name, decoded as forms are (`%41` is `A`, `+` is a space); the first value counts. */
  readonly query?: Readonly<Record<string, StringMatch>>;
  /** Who calls. */
  readonly source?: SourceMatch;
  /** Share of the calls that fit otherwise, drawn anew for each call. Percent, 0 to 100 with fractions. @default 100 */
  readonly fraction?: number;
}

/** Who asks for routes: what a {@link SourceMatch} looks at. */
export interface RouteSource {
  readonly service: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As `principalOf` gives it; `undefined` while the caller has no certificate. */
  readonly principal: string | undefined;
}

/** Compiles a source. @param namespace the route's, whose services short names mean */
export const compileSourceMatch = (
  { service, namespace, labels, identity, invert }: SourceMatch,
  routeNamespace: string,
  engine: RegexEngine,
): ((source: RouteSource) => boolean) => {
  const key: ServiceKey | undefined = service === undefined ? undefined : referencedService(service, routeNamespace);
  const wanted = Object.entries(labels ?? {});
  const fitsIdentity = identity === undefined ? undefined : compileStringMatch(identity, engine);
  return (source) => {
    const fits =
      (key === undefined || key === serviceKey(source.namespace, source.service)) &&
      (namespace === undefined || namespace === source.namespace) &&
      wanted.every(([name, value]) => source.labels[name] === value) &&
      (fitsIdentity === undefined || fitsIdentity(source.principal));
    return fits !== (invert === true);
  };
};

/** The ways of comparing a text, of which a match sets exactly one. */
export const stringComparisons = ["exact", "prefix", "suffix", "regex", "present"] as const;

/** The ways of comparing a path, of which a match sets exactly one. */
export const pathComparisons = ["exact", "prefix", "startsWith", "regex", "template"] as const;

/** What is wrong with a match that sets none or several of the ways of comparing. */
export const wrongComparisons = (set: readonly string[], ways: readonly string[]): string =>
  set.length === 0
    ? `nothing to compare with: set exactly one of ${ways.join(", ")}`
    : `${set.join(" and ")} are set: set exactly one`;

/** Whether a match makes sense. */
export const checkRouteMatch = (path: PolicyPath, match: RouteMatch, check: Check): void => {
  if (match.path !== undefined) checkPathMatch([...path, "path"], match.path, check);
  if (match.ignoreCase === true && match.path !== undefined && "regex" in match.path) {
    check.report([...path, "ignoreCase"], 'a regex says by itself whether case counts: begin it with "(?i)"');
  }
  check.texts([...path, "methods"], match.methods, wrongMethod);
  for (const field of ["method", "scheme", "authority"] as const) {
    const comparison = match[field];
    if (comparison !== undefined) checkStringMatch([...path, field], comparison, check);
  }
  check.number([...path, "port"], match.port, numberLimits.port);
  check.number([...path, "fraction"], match.fraction, numberLimits.percent);
  for (const [name, comparison] of Object.entries(match.headers ?? {})) {
    check.text([...path, "headers", name], name, wrongMatchedHeader);
    checkStringMatch([...path, "headers", name], comparison, check);
  }
  for (const [name, comparison] of Object.entries(match.query ?? {})) {
    checkStringMatch([...path, "query", name], comparison, check);
  }
  if (match.source !== undefined) checkSource([...path, "source"], match.source, check);
};

/** Whether a comparison of a text sets exactly one way. */
export const checkStringMatch = (path: PolicyPath, match: StringMatch, check: Check): void => {
  const set = stringComparisons.filter((name) => name in match);
  if (set.length !== 1) check.report(path, wrongComparisons(set, stringComparisons));
};

const checkPathMatch = (path: PolicyPath, match: PathMatch, check: Check): void => {
  const set = pathComparisons.filter((name) => name in match);
  if (set.length !== 1) check.report(path, wrongComparisons(set, pathComparisons));
  if ("exact" in match) check.text([...path, "exact"], match.exact, wrongMatchedPath);
  if ("prefix" in match) check.text([...path, "prefix"], match.prefix, wrongMatchedPath);
  if ("startsWith" in match) check.text([...path, "startsWith"], match.startsWith, wrongMatchedPath);
  if ("template" in match) check.text([...path, "template"], match.template, wrongTemplate);
};

const checkSource = (path: PolicyPath, source: SourceMatch, check: Check): void => {
  const { service, namespace, labels, identity } = source;
  if (service === undefined && namespace === undefined && labels === undefined && identity === undefined) {
    check.report(path, 'an empty source would mean any caller: leave out "source" if that is meant');
  }
  check.text([...path, "service"], service, wrongReference);
  if (identity === undefined) return;
  checkStringMatch([...path, "identity"], identity, check);
  const written = "exact" in identity ? identity.exact : "prefix" in identity ? identity.prefix : "";
  if (written.startsWith("spiffe://")) {
    check.report([...path, "identity"], `"${written}" has a scheme: identities are written without "spiffe://"`);
  }
};

/** Paths are compared as they are sent, and none is sent with these characters. */
export const wrongMatchedPath = (text: string): string | undefined => {
  const wrong = wrongPath(text);
  if (wrong !== undefined || /^[!-~]*$/.test(text)) return wrong;
  return `"${text}" has characters that are never sent in a path: write them percent-encoded`;
};

const fieldOfPseudoHeader: Readonly<Record<string, string>> = {
  ":method": "methods",
  ":path": "path",
  ":scheme": "scheme",
  ":authority": "authority",
  host: "authority",
};

const wrongMatchedHeader = (name: string): string | undefined => {
  const field = fieldOfPseudoHeader[name.toLowerCase()];
  return field === undefined ? wrongHeaderName(name) : `"${name}" is no header of a call here: use "${field}"`;
};
