import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AccessPolicy, Credentials, InboundSnapshot, MtlsMode } from "@tulle/policy";
import { createServer, type MeshServer, type ServerOptions } from "@tulle/server";
import { constant, systemClock } from "@tulle/time";
import { onTestFinished } from "vitest";

/** What a service named `reviews` demands. */
export const inbound = (mtls: MtlsMode, access: readonly AccessPolicy[] = []): InboundSnapshot => ({
  revision: "test.1",
  mesh: { kind: "Mesh", name: "mesh", mtls },
  service: { kind: "Service", name: "reviews" },
  access,
  authentication: [],
});

/** A server that ends with its test. */
export const testServer = (options: Partial<ServerOptions> = {}): MeshServer => {
  const server = createServer({
    inbound: constant(inbound("disable")),
    credentials: constant(undefined),
    clock: systemClock,
    service: "reviews",
    namespace: "default",
    labels: {},
    mode: "full",
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
};

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** Calls a port on loopback, in plaintext or with the credentials of a caller. */
export const call = async (
  port: number,
  options: RequestOptions & {
    readonly as?: Pick<Credentials, "certificateChain" | "privateKey">;
    readonly tls?: boolean;
    /** The name by which TLS begins. */
    readonly servername?: string;
    readonly body?: string;
  } = {},
): Promise<Answer> => {
  const { as, tls, body, ...rest } = options;
  const secure = as !== undefined || tls === true;
  const target = { host: "127.0.0.1", port, path: "/", agent: false, ...rest };
  const request = secure
    ? httpsRequest({
        ...target,
        rejectUnauthorized: false,
        ...(as === undefined ? {} : { cert: as.certificateChain, key: as.privateKey }),
      })
    : httpRequest(target);
  request.end(body);
  // "response" carries exactly the message.
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, rawHeaders: response.rawHeaders, body: text };
};
