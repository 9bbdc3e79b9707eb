import { createRequire } from "node:module";
import { nativePattern, type PolicyFeature, type RegexEngine } from "@tulle/policy";

/** Longer text is not searched and never matches: a bound on what a stranger's path or header can cost. */
export const MAX_MATCHED_CHARACTERS = 8_192;

/** What is used of re2js, which is loaded only where a policy needs it. */
type Re2 = Pick<typeof import("re2js"), "RE2JS">;

/**
 * Compiles patterns of policies, which match the whole text. Those that the config-server has proved linear run on V8, all
 * others on re2js, which is linear by construction.
 *
 * @throws Error when a pattern needs re2js and it is not installed; the message says so.
 * @throws SyntaxError when the pattern is not RE2.
 */
export const regexEngine: RegexEngine = (pattern, proof) => {
  const matches = (proof.linear === true ? nativeMatcher(pattern) : undefined) ?? re2Matcher(pattern);
  return (text) => text.length <= MAX_MATCHED_CHARACTERS && matches(text);
};

/** What policies may ask of this process beyond the rest: tells whether re2js is installed, without loading it. */
export const supportedPolicyFeatures = (): readonly PolicyFeature[] => {
  const own: readonly PolicyFeature[] = [
    "policy:external-service",
    "policy:http2",
    "policy:jwt",
    "policy:access-full",
    "policy:workloads",
    "policy:locality",
    "policy:health-check",
    "policy:service-overrides",
    "policy:endpoint-session",
  ];
  try {
    createRequire(import.meta.url).resolve("re2js");
    return ["policy:regex-re2", ...own];
  } catch {
    return own;
  }
};

type Matcher = (text: string) => boolean;

/** `undefined` for what RE2 can say and V8 cannot, such as `(?i)`. */
const nativeMatcher = (pattern: string): Matcher | undefined => {
  const native = nativePattern(pattern);
  if (native === undefined) return undefined;
  try {
    const compiled = new RegExp(`^(?:${native})$`, "u");
    return (text) => compiled.test(text);
  } catch {
    return undefined;
  }
};

const re2Matcher = (pattern: string): Matcher => {
  const compiled = loadRe2().RE2JS.compile(pattern);
  return (text) => compiled.matches(text);
};

/** Loads the engine, where a policy needs it. */
export const loadRe2 = (): Re2 => {
  try {
    // `require` returns an untyped module; this is the one whose types are imported.
    return createRequire(import.meta.url)("re2js") as Re2;
  } catch (cause) {
    throw new Error('a route matches by a pattern that needs the package "re2js": install it beside tulle', { cause });
  }
};
