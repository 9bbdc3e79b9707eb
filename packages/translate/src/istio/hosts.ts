import { isIP } from "node:net";

/** Why a text is no host as Istio reads them; `undefined` when it is one. */
export const whyNoHost = (host: string, { wildcard }: { readonly wildcard: boolean }): string | undefined => {
  if (host === "") return "a host is empty";
  if (isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0) return undefined;
  if (host === "*") return wildcard ? undefined : "a host of its own is needed, not every host";
  if (host.length > 255) return `"${host.slice(0, 40)}…" is longer than 255 characters`;
  const name = host.startsWith("*") && wildcard ? host.replace(/^\*\.?/, "") : host;
  if (name.includes("*")) return `"${host}" has a wildcard elsewhere than in its first label`;
  const labels = name.replace(/\.$/, "").split(".");
  // Istio's own names of subsets have underscores.
  const wrong = labels.find((label) => !/^[a-zA-Z0-9_](?:[-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?$/.test(label));
  return wrong === undefined ? undefined : `"${host}" is no name of a host: "${wrong}" is no label of DNS`;
};

/** Hosts that cover one another, so that nobody knows which of their rules would hold. */
export const overlapping = (hosts: readonly string[]): readonly [string, string] | undefined => {
  for (const [at, first] of hosts.entries()) {
    for (const second of hosts.slice(at + 1)) {
      if (first === second || covers(first, second) || covers(second, first)) return [first, second];
    }
  }
  return undefined;
};

const covers = (wildcard: string, host: string): boolean => {
  if (!wildcard.startsWith("*")) return false;
  const end = wildcard.slice(1);
  const name = host.startsWith("*") ? host.slice(1) : host;
  return name.endsWith(end);
};
