import { isIP } from "node:net";
import { whyNoHost } from "./hosts.ts";

/** Why a text is no host of a Sidecar or a Gateway, `namespace/host`; `undefined` where it is one. */
export const whyNoNamespacedHost = (text: string, ofGateway: boolean): string | undefined => {
  const slash = text.indexOf("/");
  if (slash < 0) return ofGateway ? whyNoPart(text, true) : `"${text}" is no host here: write namespace/host`;
  const [namespace, host] = [text.slice(0, slash), text.slice(slash + 1)];
  if (!/^(?:\*|\.|~|[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)$/.test(namespace)) {
    return `"${namespace}" is no namespace, nor ".", "*" or "~"`;
  }
  return whyNoPart(host, ofGateway);
};

const whyNoPart = (host: string, ofGateway: boolean): string | undefined => {
  if (host === "*") return undefined;
  if (ofGateway && isIP(host) !== 0) return undefined;
  if (ofGateway && !host.includes(".")) return `"${host}" is a short name: a gateway needs a full one`;
  return whyNoHost(host, { wildcard: true });
};
