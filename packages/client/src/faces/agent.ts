import http, { Agent, type ClientRequest, type RequestOptions } from "node:http";
import https from "node:https";
import { isMeshError } from "@tulle/policy";
import { belongsTo } from "../call.ts";
import type { Resolution } from "../routing/resolve-host.ts";
import type { Call } from "../send.ts";
import { AgentExchange, answerWith, refuseRequest } from "./agent-exchange.ts";
import { flattenHeaders } from "./call-headers.ts";
import { closedFailure, type FaceKit, makeCall, refusalOf } from "./call-maker.ts";
import { noTunnels } from "./dispatcher.ts";
import { failureReply } from "./failure-reply.ts";

/** What `node:http` asks of an agent; documented nowhere, and kept by every version because all agents are built on it. */
interface TakesRequests {
  addRequest(request: ClientRequest, options: RequestOptions): void;
}

/**
 * The mesh as an agent of `node:http` and `node:https`, for everything that is built on them: axios, got, superagent.
 * `http.request("http://reviews/7", { agent: mesh.agent })`. Each request, not each connection, is routed and balanced anew,
 * and goes over mTLS where the endpoint speaks it. Connections are kept per endpoint, as many as the Service policy's
 * `connectionPool` allows, beside those of the other faces. Hosts outside the mesh go to Node's global agents.
 *
 * What holds: discovery, match, split, balancing, probation, circuit, limits, deadlines until the headers, trace and control
 * headers, replies that the mesh makes itself, upgrades, `Expect: 100-continue`. Connects that fail are tried elsewhere.
 * Failures of the mesh are the request's `error`; errors of Node.js keep their form and have the mesh's as their `cause`.
 *
 * What cannot hold, because Node.js writes the request and reads the reply: nothing is sent a second time once it has a
 * connection (no retries of replies, no hedging, no replay), nobody watches over the silence of a body, and the mesh does not
 * change a reply that has come. Routing sees the path and headers that the options name. A request whose headers are given as a
 * list is sent as it is: Node.js has written it before any agent sees it, so no trace and no deadline travel with it.
 */
export class MeshAgent extends Agent implements TakesRequests {
  readonly #kit: FaceKit;

  constructor(kit: FaceKit) {
    // Kept alive, or Node.js would ask the servers to close after each request.
    super({ keepAlive: true });
    this.#kit = kit;
    // An agent that names no protocol serves both, but a global one must name its own.
    Object.defineProperty(this, "protocol", {
      get: () => {
        const self: Agent = this;
        if (http.globalAgent === self) return "http:";
        return (https.globalAgent as Agent) === self ? "https:" : undefined;
      },
    });
  }

  /** Called by `node:http` for each request. */
  addRequest(request: ClientRequest, options: RequestOptions): void {
    const kit = this.#kit;
    const asReply = kit.localReplies === "response";
    try {
      const origin = originOf(request, options);
      const to: Resolution = origin === undefined ? outside : kit.hosts.resolve(origin);
      if (to.kind === "outside") {
        kit.counters.outside++;
        leave(request, options);
        return;
      }
      const place = `${request.method} ${origin}${request.path}`;
      if (kit.closed) throw closedFailure(place);
      if (to.kind === "refused") {
        kit.counters.refused++;
        throw refusalOf(place, to);
      }
      if (request.method === "CONNECT") throw noTunnels(place);
      const call = makeCall(kit, to, {
        method: request.method,
        path: request.path,
        headers: flattenHeaders(headersOf(request, options)),
        // undici's type, and no undici ever sees it.
        body: writtenByNode as Call["body"],
        options: undefined,
      });
      call.upgrade = call.header("upgrade");
      belongsTo(request, call);
      new AgentExchange(request, call, options.timeout, asReply).begin(kit.send);
    } catch (error) {
      if (asReply && isMeshError(error)) answerWith(request, failureReply(error, request));
      else refuseRequest(request, error);
    }
  }

  /** The mesh is left by its own `leave()`; whoever destroys the agent closes nothing. */
  override destroy(): void {}
}

/** The global agents as they were when this file was loaded. */
const first = { http: http.globalAgent, https: https.globalAgent };

const outside: Resolution = { kind: "outside" };

/** Stands for the bytes that Node.js writes: of no form that could be sent again. */
const writtenByNode: object = Object.freeze({});

/** The agent's own default port for both protocols: Node.js asks for it before it says which one it is. */
const DEFAULT_PORT = 80;

const isTls = (request: ClientRequest): boolean => request.protocol === "https:";

const portOf = (request: ClientRequest, { port }: RequestOptions): number => {
  const asked = Number(port ?? DEFAULT_PORT);
  return isTls(request) && asked === DEFAULT_PORT ? 443 : asked;
};

/** Scheme and authority; `undefined` for what no URL names. */
const originOf = (request: ClientRequest, options: RequestOptions): string | undefined => {
  if (options.socketPath) return undefined;
  const host = options.host ?? options.hostname ?? "localhost";
  const origin = `${request.protocol}//${host.includes(":") ? `[${host}]` : host}:${portOf(request, options)}`;
  return URL.canParse(origin) ? origin : undefined;
};

/** Hands a request to the agent that it would have had. */
const leave = (request: ClientRequest, options: RequestOptions): void => {
  const { globalAgent } = isTls(request) ? https : http;
  // Somebody made the mesh the global agent; what is outside it must not come round to it.
  const standing = globalAgent instanceof MeshAgent ? first[isTls(request) ? "https" : "http"] : globalAgent;
  // The types do not know what agents are made of.
  const agent = standing as unknown as TakesRequests;
  agent.addRequest(request, options.socketPath ? options : { ...options, port: portOf(request, options) });
};

/** Names as they were written. */
const headersOf = (request: ClientRequest, { headers }: RequestOptions): Parameters<typeof flattenHeaders>[0] => {
  if (Array.isArray(headers)) return headers.flat() as string[];
  const list: string[] = [];
  for (const name of request.getRawHeaderNames()) {
    const value = request.getHeader(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) list.push(name, String(each));
  }
  return list;
};
