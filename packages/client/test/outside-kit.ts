import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  buildNameIndex,
  type Endpoint,
  externalNamesOf,
  externalServicesOf,
  meshPolicyOf,
  type OutboundSnapshot,
  type Policy,
  type ServiceKey,
  type ServiceSnapshot,
  serviceNamesOf,
  serviceOfExternal,
  servicesOf,
} from "@tulle/policy";
import type { TestAuthority } from "@tulle/testing";
import type { DnsRecord, DnsResolver, IpFamily } from "../src/dns/dns-resolver.ts";

/** What policies and endpoints mean to a client, as a config-server would tell it. */
export const snapshotOfPolicies = (
  policies: readonly Policy[],
  endpoints: Readonly<Record<ServiceKey, readonly Endpoint[]>> = {},
): OutboundSnapshot => {
  const services = new Map<ServiceKey, ServiceSnapshot>();
  for (const [key, { policy, routes }] of servicesOf(policies)) {
    services.set(key, { key, policy, routes, endpoints: endpoints[key] ?? [] });
  }
  for (const [key, { policy, routes }] of externalServicesOf(policies)) {
    services.set(key, { key, policy: serviceOfExternal(policy), external: policy, routes, endpoints: [] });
  }
  const names = buildNameIndex(serviceNamesOf(policies), "default", externalNamesOf(policies));
  return { revision: "static.1", mesh: meshPolicyOf(policies), names, services };
};

/** One request as an outside server saw it. */
export interface SeenRequest {
  readonly host: string | undefined;
  readonly sni: string | false | null;
  readonly url: string | undefined;
  /** The alternative names of the certificate that the client showed. */
  readonly client: string | undefined;
}

/** An HTTPS server on loopback that answers 200 with its name, and remembers what it was asked. */
export interface OutsideServer extends AsyncDisposable {
  readonly port: number;
  readonly seen: SeenRequest[];
  handshakes: number;
}

export const outsideServer = async (
  authority: TestAuthority,
  names: readonly string[],
  options: { readonly clientRoot?: string; readonly uris?: readonly string[] } = {},
): Promise<OutsideServer> => {
  const { certificateChain, privateKey } = await authority.issue({ dnsNames: names, uris: options.uris ?? [] });
  const seen: SeenRequest[] = [];
  const server = createServer(
    {
      cert: certificateChain,
      key: privateKey,
      ...(options.clientRoot === undefined
        ? {}
        : { requestCert: true, rejectUnauthorized: true, ca: options.clientRoot }),
    },
    (request, response) => {
      // A server of node:https has no other sockets.
      const socket = request.socket as TLSSocket;
      const { subjectaltname } = socket.getPeerCertificate() ?? {};
      const { servername } = socket as TLSSocket & { readonly servername: string | false | null };
      seen.push({ host: request.headers.host, sni: servername, url: request.url, client: subjectaltname });
      response.end(names[0] ?? "");
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const outside: OutsideServer = {
    port: (server.address() as AddressInfo).port,
    seen,
    handshakes: 0,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  server.on("secureConnection", () => outside.handshakes++);
  return outside;
};

/** What a scripted resolver says of one name: records, or an error's code; `undefined`: it never answers. */
export type ScriptedAnswer = readonly (DnsRecord & { readonly family?: IpFamily })[] | string | undefined;

/** Answers from a table that the test changes, and notes every question. */
export class ScriptedResolver implements DnsResolver {
  readonly answers = new Map<string, ScriptedAnswer>();
  readonly hostsFile = new Map<string, readonly string[]>();
  readonly asked: string[] = [];
  known: readonly IpFamily[] = [4];
  closed = false;

  families(): readonly IpFamily[] {
    return this.known;
  }

  resolve(name: string, family: IpFamily): Promise<readonly DnsRecord[]> {
    this.asked.push(`${family === 4 ? "A" : "AAAA"} ${name}`);
    const answer = this.answers.has(`${name}/${family}`)
      ? this.answers.get(`${name}/${family}`)
      : this.answers.has(name)
        ? this.answers.get(name)
        : "ENOTFOUND";
    if (answer === undefined) return new Promise(() => undefined);
    if (typeof answer === "string") return Promise.reject(Object.assign(new Error(answer), { code: answer }));
    const records = answer.filter((record) => (record.family ?? 4) === family);
    return records.length === 0
      ? Promise.reject(Object.assign(new Error("ENODATA"), { code: "ENODATA" }))
      : Promise.resolve(records.map(({ address, ttlMs }) => ({ address, ttlMs })));
  }

  lookup(name: string): Promise<readonly string[]> {
    this.asked.push(`lookup ${name}`);
    const found = this.hostsFile.get(name);
    return found === undefined
      ? Promise.reject(Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" }))
      : Promise.resolve(found);
  }

  close(): void {
    this.closed = true;
  }
}
