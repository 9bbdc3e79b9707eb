import type { OidcSubjectRule } from "./oidc-issuer.ts";

/** Where a subject leads. */
export interface MappedSubject {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The claims of a token whose signature was verified. */
export type VerifiedClaims = Readonly<Record<string, unknown>>;

/** A rule that can be asked. `undefined`: it does not fit the subject. */
export type CompiledSubjectRule = (subject: string, claims: VerifiedClaims) => MappedSubject | undefined;

/** The longest subject that is looked at. */
const MAX_SUBJECT_LENGTH = 512;

/** What Kubernetes allows as namespace and as service account, which is also what a SPIFFE ID's path can carry. */
const namespaceText = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const accountText = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

const partName = /^[A-Za-z][A-Za-z0-9]{0,31}$/;

/**
 * Makes a rule ready to be asked.
 *
 * A part cannot hold `:` or `/` and must be followed by one of them or by the end, so a subject is read in one way only:
 * whoever may choose one part of it cannot reach into the next.
 *
 * @throws RangeError for a rule that could be read in two ways, or that uses a part that the subject does not have.
 */
export const compileSubjectRule = (rule: OidcSubjectRule): CompiledSubjectRule => {
  const pieces = rule.subject.split(/(\{[^{}]*\})/);
  const parts = new Set<string>();
  let source = "";
  for (const [index, piece] of pieces.entries()) {
    // Odd pieces are what the split's group caught: the parts.
    if (index % 2 === 0) {
      if (/[{}]/.test(piece)) throw new RangeError(`the subject "${rule.subject}" has a brace without its other`);
      source += piece.replace(/[\\^$.*+?()[\]|/-]/g, "\\$&");
      continue;
    }
    const name = piece.slice(1, -1);
    if (!partName.test(name)) throw new RangeError(`"${piece}" is no part: write a name of letters and digits in it`);
    if (parts.has(name)) throw new RangeError(`the part {${name}} comes twice in the subject "${rule.subject}"`);
    const next = pieces[index + 1] ?? "";
    const last = next === "" && index + 2 >= pieces.length;
    if (!last && !/^[:/]/.test(next)) {
      throw new RangeError(`the part {${name}} must be followed by ":", "/" or the end of the subject`);
    }
    parts.add(name);
    source += `(?<${name}>[^:/]+)`;
  }
  const pattern = new RegExp(`^${source}$`, "s");
  const namespace = template(rule.namespace, parts);
  const serviceAccount = template(rule.serviceAccount, parts);
  const conditions = Object.entries(rule.claims ?? {}).map(([name, wanted]) => ({
    path: claimPath(name),
    wanted: new Set(typeof wanted === "string" ? [wanted] : wanted),
  }));

  return (subject, claims) => {
    const found = subject.length > MAX_SUBJECT_LENGTH ? null : pattern.exec(subject);
    if (found === null || !conditions.every(({ path, wanted }) => fits(valueAt(claims, path), wanted)))
      return undefined;
    const named = found.groups ?? {};
    return { namespace: namespace(named), serviceAccount: serviceAccount(named) };
  };
};

/** Whether what a rule made of a subject can be an identity. */
export const isIdentity = ({ namespace, serviceAccount }: MappedSubject): boolean =>
  namespaceText.test(namespace) && accountText.test(serviceAccount);

const template = (text: string, parts: ReadonlySet<string>): ((named: Readonly<Record<string, string>>) => string) => {
  const pieces = text.split(/(\{[^{}]*\})/);
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 1 && !parts.has(piece.slice(1, -1))) {
      throw new RangeError(`"${text}" uses ${piece}, which the subject does not have`);
    }
    if (index % 2 === 0 && /[{}]/.test(piece)) throw new RangeError(`"${text}" has a brace without its other`);
  }
  return (named) =>
    pieces.map((piece, index) => (index % 2 === 1 ? (named[piece.slice(1, -1)] ?? "") : piece)).join("");
};

const claimPath = (name: string): readonly string[] => {
  const found = /^([^[\]]+)((?:\[[^[\]]+\])*)$/.exec(name);
  if (found === null) throw new RangeError(`"${name}" names no claim: write a name, or name[inner]`);
  const [, first = "", rest = ""] = found;
  return [first, ...[...rest.matchAll(/\[([^[\]]+)\]/g)].map(([, inner = ""]) => inner)];
};

const valueAt = (claims: VerifiedClaims, path: readonly string[]): unknown => {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name]; // it has the property, by the line above
  }
  return value;
};

const fits = (value: unknown, wanted: ReadonlySet<string>): boolean => {
  if (Array.isArray(value)) return value.some((each) => typeof each === "string" && wanted.has(each));
  return ["string", "number", "boolean"].includes(typeof value) && wanted.has(String(value));
};
