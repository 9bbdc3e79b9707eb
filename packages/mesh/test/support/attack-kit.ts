import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { MtlsMode, Policy, ServicePolicy, TrustBundle } from "@tulle/policy";
import type { ListenApp } from "@tulle/server";
import { createTestAuthority } from "@tulle/testing";
import { onTestFinished } from "vitest";
import { createMesh, type FixedMesh } from "../../src/create-mesh.ts";
import type { MeshListenOptions } from "../../src/mesh.ts";

/** The mesh that is attacked, and a partner's that it is federated with. */
export const ours = await createTestAuthority("cluster.local");
export const partner = await createTestAuthority("partner.test");

const own = await ours.issue({ serviceAccount: "reviews", bundles: [ours.bundle, partner.bundle] });

/** An honest member of ours, and one of the partner's. */
export const productpage = await ours.issue({ serviceAccount: "productpage" });
export const partnersShop = await partner.issue({ serviceAccount: "shop" });

/** What a caller shows in the handshake. */
export interface Shown {
  readonly certificateChain: string;
  readonly privateKey: string;
}

/** What a handler was given. */
export interface Handled {
  readonly method: string;
  readonly url: string;
  readonly request: IncomingMessage;
  readonly body: string;
}

/** A member of `reviews` at work. */
export interface Target {
  readonly mesh: FixedMesh;
  readonly port: number;
  /** What reached the application, in order. */
  readonly handled: readonly Handled[];
  /** Refusals by their code, of connections too. */
  refused(): Readonly<Record<string, number>>;
}

/** What an attack needs of its target. */
export interface TargetOptions {
  /** @default "strict" */
  readonly mtls?: MtlsMode;
  readonly policies?: readonly Policy[];
  readonly protocol?: ServicePolicy["protocol"];
  /** @default ours, and the partner's */
  readonly bundles?: readonly TrustBundle[];
  /** Further names of our trust domain. @default none */
  readonly aliases?: readonly string[];
  readonly listen?: Omit<MeshListenOptions, "port">;
  /** @default answers 200 once it has read the body */
  readonly app?: (
    mesh: FixedMesh,
    note: (request: IncomingMessage, body?: string) => void,
  ) => ListenApp | Promise<ListenApp>;
  readonly handler?: (request: IncomingMessage, response: ServerResponse) => void;
}

/** `/admin` and what is below it are for nobody. */
export const noAdmin: Policy = {
  kind: "Access",
  name: "no-admin",
  selector: { service: "reviews" },
  action: "deny",
  rules: [{ name: "admin", to: [{ paths: ["/admin", "/admin/*"] }] }],
};

/** Starts a member, which ends with its test. */
export const startTarget = async (options: TargetOptions = {}): Promise<Target> => {
  const { mtls = "strict", policies = [noAdmin], protocol, bundles, handler } = options;
  const mesh = createMesh({
    policies: [
      {
        kind: "Mesh",
        name: "mesh",
        mtls,
        ...(options.aliases === undefined ? {} : { trustDomainAliases: options.aliases }),
      },
      { kind: "Service", name: "reviews", ...(protocol === undefined ? {} : { protocol }) },
      ...policies,
    ],
    endpoints: {},
    service: "reviews",
    credentials: bundles === undefined ? own : { ...own, bundles },
  });
  onTestFinished(() => mesh.leave());
  const handled: Handled[] = [];
  const note = (request: IncomingMessage, body = ""): void => {
    handled.push({ method: request.method ?? "", url: request.url ?? "", request, body });
  };
  const plain = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      note(request, Buffer.concat(chunks).toString("latin1"));
      if (handler === undefined) response.end("handled");
      else handler(request, response);
    });
  };
  const app = options.app === undefined ? plain : await options.app(mesh, note);
  const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1", signals: false, ...options.listen });
  return {
    mesh,
    port,
    handled,
    refused: () =>
      Object.fromEntries(
        Object.entries(mesh.status.counters.server)
          .filter(([name, count]) => name.startsWith("refused.") && count > 0)
          .map(([name, count]) => [name.slice("refused.".length), count]),
      ),
  };
};

/** A connection whose bytes are written by hand. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything that came so far. */
  heard(): Buffer;
  /** Resolves when the other side has ended it. */
  readonly closed: Promise<unknown>;
}

/** Opens a connection: in plaintext, over TLS as nobody, or as somebody. @throws what the handshake fails with */
export const open = async (
  port: number,
  as: Shown | "plaintext" | "nobody",
  more: ConnectionOptions = {},
): Promise<RawConnection> => {
  const socket =
    as === "plaintext"
      ? connectTcp(port, "127.0.0.1")
      : connectTls({
          port,
          host: "127.0.0.1",
          rejectUnauthorized: false,
          ...(as === "nobody" ? {} : { cert: as.certificateChain, key: as.privateKey }),
          ...more,
        });
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await once(socket, as === "plaintext" ? "connect" : "secureConnect");
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return { socket, heard: () => Buffer.concat(chunks), closed };
};

/** Writes bytes to a new connection, and returns all that comes back until the member ends it. */
export const say = async (
  port: number,
  as: Shown | "plaintext" | "nobody",
  bytes: string | Buffer,
): Promise<string> => {
  const { socket, heard, closed } = await open(port, as);
  socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  await closed;
  return heard().toString("latin1");
};

/** The status of each answer that came, in order. */
export const statusesOf = (answer: string): readonly number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));

/** A request in HTTP/1.1 after which the member ends the connection. */
export const request = (target: string, headers: readonly string[] = [], body = "", method = "GET"): string =>
  [`${method} ${target} HTTP/1.1`, "host: reviews", "connection: close", ...headers, "", body].join("\r\n");
