import type { IncomingMessage } from "node:http";
import type { EffectiveJwtRule } from "@tulle/policy";
import { addHeader, takeHeadersOut } from "../header-views.ts";

/** Where a token may stand. */
export interface TokenPlace {
  readonly kind: "header" | "param" | "cookie";
  /** Of a header in lower case. */
  readonly name: string;
  /** Of a header: what stands before the token. */
  readonly prefix: string;
}

/** The places of some rules, each once, and for each rule which of them it looks into. */
export interface TokenPlaces {
  readonly all: readonly TokenPlace[];
  readonly ofRule: readonly (readonly TokenPlace[])[];
}

/** Gathers the places of rules, so that each is looked into once. */
export const placesOf = (rules: readonly EffectiveJwtRule[]): TokenPlaces => {
  const all = new Map<string, TokenPlace>();
  const once = (place: TokenPlace): TokenPlace => {
    const key = JSON.stringify([place.kind, place.name, place.prefix]);
    const known = all.get(key) ?? place;
    all.set(key, known);
    return known;
  };
  const ofRule = rules.map(({ headers, params, cookies }) => [
    ...headers.map(({ name, prefix }) => once({ kind: "header", name, prefix })),
    ...params.map((name) => once({ kind: "param", name, prefix: "" })),
    ...cookies.map((name) => once({ kind: "cookie", name, prefix: "" })),
  ]);
  return { all: [...all.values()], ofRule };
};

/** A text that stands where a token may stand. */
export interface FoundToken {
  readonly place: TokenPlace;
  readonly text: string;
}

/**
 * Finds what stands in the places. Every field and every value of a name counts, also those that Node.js leaves out of
 * `headers`: whoever reads another one than we do must not find a token that nobody checked.
 */
export const findTokens = (request: IncomingMessage, places: readonly TokenPlace[]): readonly FoundToken[] => {
  const found: FoundToken[] = [];
  const url = request.url ?? "";
  const queryAt = url.indexOf("?");
  for (const place of places) {
    if (place.kind === "param") {
      if (queryAt < 0) continue;
      for (const pair of url.slice(queryAt + 1).split("&")) {
        const [name, value] = nameAndValue(pair);
        if (name === place.name) found.push({ place, text: value });
      }
    } else {
      const header = place.kind === "cookie" ? "cookie" : place.name;
      for (const value of fieldsOf(request, header)) {
        if (place.kind === "cookie") {
          for (const text of cookiesOf(value, place.name)) found.push({ place, text });
        } else {
          const text = tokenIn(value, place.prefix);
          if (text !== undefined) found.push({ place, text });
        }
      }
    }
  }
  return found;
};

const fieldsOf = ({ rawHeaders }: IncomingMessage, name: string): readonly string[] => {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const written = rawHeaders[at] ?? "";
    if (written.length === name.length && written.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? "");
  }
  return values;
};

/** As Envoy reads it: the prefix may stand anywhere, and the token ends where its characters end. */
const tokenIn = (value: string, prefix: string): string | undefined => {
  if (prefix === "") return value;
  const at = value.indexOf(prefix);
  if (at < 0) return undefined;
  return /[A-Za-z0-9_.-]+/.exec(value.slice(at + prefix.length))?.[0] ?? value;
};

const nameAndValue = (pair: string): readonly [string, string] => {
  const at = pair.indexOf("=");
  return at < 0 ? [decodeQuery(pair), ""] : [decodeQuery(pair.slice(0, at)), decodeQuery(pair.slice(at + 1))];
};

const decodeQuery = (text: string): string => {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
};

const cookiesOf = (header: string, name: string): readonly string[] =>
  header.split(";").flatMap((pair) => {
    const at = pair.indexOf("=");
    if (at < 0 || pair.slice(0, at).trim() !== name) return [];
    const value = pair.slice(at + 1).trim();
    return [value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value];
  });

/** Takes what stands in some places out of a request: whole headers, the parameter, the cookie. */
export const takeTokensOut = (request: IncomingMessage, places: ReadonlySet<TokenPlace>): void => {
  const headers = new Set<string>();
  for (const { kind, name } of places) {
    if (kind === "header") headers.add(name);
    else if (kind === "param") takeParamOut(request, name);
    else takeCookieOut(request, name);
  }
  if (headers.size > 0) takeHeadersOut(request, (name) => headers.has(name));
};

/** A framework before us on a listener of the service's own may have kept the address it was given. */
type Addressed = IncomingMessage & { originalUrl?: unknown };

const takeParamOut = (request: Addressed, name: string): void => {
  request.url = withoutParam(request.url ?? "", name);
  if (typeof request.originalUrl === "string") request.originalUrl = withoutParam(request.originalUrl, name);
};

const withoutParam = (url: string, name: string): string => {
  const at = url.indexOf("?");
  if (at < 0) return url;
  const kept = url
    .slice(at + 1)
    .split("&")
    .filter((pair) => nameAndValue(pair)[0] !== name);
  return kept.length === 0 ? url.slice(0, at) : `${url.slice(0, at)}?${kept.join("&")}`;
};

/** The names of parameters that one address has and another lacks. */
export const paramsTakenOut = (before: string, after: string): readonly string[] => {
  const left = namesOfParams(after);
  return [...namesOfParams(before)].filter((name) => !left.has(name));
};

const namesOfParams = (url: string): ReadonlySet<string> => {
  const at = url.indexOf("?");
  return new Set(
    at < 0
      ? []
      : url
          .slice(at + 1)
          .split("&")
          .map((pair) => nameAndValue(pair)[0]),
  );
};

const takeCookieOut = (request: IncomingMessage, name: string): void => {
  const kept = fieldsOf(request, "cookie")
    .flatMap((field) => field.split(";"))
    .filter((pair) => (pair.includes("=") ? pair.slice(0, pair.indexOf("=")) : pair).trim() !== name)
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "");
  takeHeadersOut(request, (header) => header === "cookie");
  if (kept.length > 0) addHeader(request, "cookie", kept.join("; "));
};
