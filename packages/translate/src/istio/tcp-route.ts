import type { Fields } from "../fields.ts";
import { type Message, message, noMeaning } from "../message.ts";
import { listIn, valueIn } from "../raw-value.ts";
import { destinationMessage } from "./destination.ts";
import { whyNoHost } from "./hosts.ts";

const reason = "connections that are no HTTP do not go through the mesh";

const tcpRoute: Message<"match" | "route"> = message("TCPRoute", {
  match: noMeaning(reason),
  route: noMeaning(reason),
});

const tlsRoute: Message<"match" | "route"> = message("TLSRoute", {
  match: noMeaning(reason),
  route: noMeaning(reason),
});

const l4Match: Message<
  "destinationSubnets" | "port" | "sourceSubnet" | "sourceLabels" | "gateways" | "sourceNamespace"
> = message("L4MatchAttributes", {
  destinationSubnets: noMeaning(reason),
  port: noMeaning(reason),
  sourceSubnet: noMeaning(reason),
  sourceLabels: noMeaning(reason),
  gateways: noMeaning(reason),
  sourceNamespace: noMeaning(reason),
});

const tlsMatch: Message<"sniHosts" | "destinationSubnets" | "port" | "sourceLabels" | "gateways" | "sourceNamespace"> =
  message("TLSMatchAttributes", {
    sniHosts: noMeaning(reason),
    destinationSubnets: noMeaning(reason),
    port: noMeaning(reason),
    sourceLabels: noMeaning(reason),
    gateways: noMeaning(reason),
    sourceNamespace: noMeaning(reason),
  });

/** The messages of rules that are not of HTTP, for the coverage page. */
export const tcpMessages: readonly Message[] = [tcpRoute, l4Match, tlsRoute, tlsMatch, destinationMessage];

/** Refuses rules of TCP and TLS that Istio would refuse; what is right in them has no meaning here, and is told as such. */
export const checkTcpRoutes = (fields: Fields<"tls" | "tcp">, hosts: readonly string[]): void => {
  for (const name of ["tls", "tcp"] as const) {
    for (const [at, rule] of listIn(fields.raw(name)).entries()) {
      const destinations = listIn(valueIn(rule, "route"));
      if (destinations.length === 0) fields.refuse(name, "a rule needs a destination", at);
      for (const [place, each] of destinations.entries()) {
        const host = valueIn(valueIn(each, "destination"), "host");
        if (typeof host !== "string" || host === "") {
          fields.refuse(name, "a destination needs a host", at, "route", place, "destination");
        }
      }
    }
  }
  for (const [at, rule] of listIn(fields.raw("tls")).entries()) checkTlsMatches(fields, rule, at, hosts);
};

const checkTlsMatches = (fields: Fields<"tls" | "tcp">, rule: unknown, at: number, hosts: readonly string[]): void => {
  const matches = listIn(valueIn(rule, "match"));
  if (matches.length === 0) fields.refuse("tls", "a rule of TLS needs a match", at);
  for (const [place, match] of matches.entries()) {
    const names = listIn(valueIn(match, "sniHosts"));
    if (names.length === 0) fields.refuse("tls", "a match of TLS needs sniHosts", at, "match", place);
    for (const [index, name] of names.entries()) {
      const wrong = typeof name === "string" ? whyNoHost(name, { wildcard: true }) : "a host is a text";
      const isOurs = typeof name === "string" && hosts.some((host) => host === name || isBelow(name, host));
      if (wrong !== undefined) fields.refuse("tls", wrong, at, "match", place, "sniHosts", index);
      else if (!isOurs)
        fields.refuse("tls", `"${String(name)}" is below none of the hosts`, at, "match", place, "sniHosts", index);
    }
  }
};

const isBelow = (name: string, host: string): boolean =>
  host.startsWith("*") && name.replace(/^\*/, "").endsWith(host.slice(1));
