import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from "node:http";
import { constants } from "node:http2";
import type { Duplex } from "node:stream";
import {
  type GrpcStatus,
  grpcStatuses,
  grpcStatusOfHttp,
  isGrpc,
  type MeshErrorCode,
  meshErrorCodes,
} from "@tulle/policy";
import { DRAIN_HEADER, REFUSED_HEADER } from "./control-headers.ts";
import type { Refusal } from "./gate.ts";
import { streamOf } from "./listener/h2-request.ts";
import type { OpenVisit } from "./visit.ts";

/** No handler saw the call and another instance may well serve it: any method may be tried elsewhere. */
const unprocessed: ReadonlySet<MeshErrorCode> = new Set<MeshErrorCode>(["NOT_READY", "DRAINING"]);

/** A body up to this length is read and thrown away, so that the connection lives on; a longer one costs it. */
const LONGEST_DISCARDED_BODY = 65_536;

interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | Uint8Array;
}

/** What a refused visit is told: peers in the mesh the reason, strangers the bare status. */
const answerOf = (visit: OpenVisit, refusal: Refusal): Answer => {
  const status = refusal.status ?? meshErrorCodes[refusal.code].status;
  if (refusal.answer !== undefined) return given(visit, refusal.answer, status);
  const body = visit.trusted ? explained(refusal) : `${STATUS_CODES[status] ?? status}\n`;
  const headers: OutgoingHttpHeaders = {
    "content-type": visit.trusted ? "application/json" : "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  };
  if (visit.trusted && unprocessed.has(refusal.code)) headers[REFUSED_HEADER] = "unprocessed";
  if (visit.trusted && visit.listenerState.draining) headers[DRAIN_HEADER] = "1";
  if (refusal.challenge !== undefined) headers["www-authenticate"] = refusal.challenge;
  if (mustClose(visit)) {
    if (visit.connection.shared === undefined) headers.connection = "close";
    else if (isLeaving(visit)) visit.connection.shared.leave();
  }
  return { status, headers, body };
};

/** An answer that somebody else wrote, such as an authorizer that sends strangers to log in. */
const given = (visit: OpenVisit, { headers, body }: NonNullable<Refusal["answer"]>, status: number): Answer => {
  const all: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const before = all[name];
    all[name] = before === undefined ? value : [...(typeof before === "string" ? [before] : before), value];
  }
  return {
    status,
    headers: {
      ...all,
      "content-length": body.byteLength,
      ...(visit.trusted && visit.listenerState.draining ? { [DRAIN_HEADER]: "1" } : {}),
      ...(mustClose(visit) ? { connection: "close" } : {}),
    },
    body,
  };
};

/**
 * The same in gRPC's words, which a caller that speaks it expects (Envoy): HTTP's 200, and the status as a header, for there is no
 * message that trailers could follow.
 */
const inGrpc = (visit: OpenVisit, refusal: Refusal, { status, headers }: Answer): Answer => ({
  status: 200,
  headers: {
    ...headers,
    "content-type": "application/grpc",
    "content-length": 0,
    "grpc-status": String(grpcStatuses[grpcStatusOf(refusal, status)].code),
    "grpc-message": encodeURIComponent(
      visit.trusted ? `${refusal.code}: ${refusal.detail}` : (STATUS_CODES[status] ?? ""),
    ),
  },
  body: "",
});

const grpcStatusOf = ({ code }: Refusal, status: number): GrpcStatus =>
  code === "VISIT_DEADLINE_SPENT" ? "DEADLINE_EXCEEDED" : grpcStatusOfHttp(status);

const explained = (refusal: Refusal): string =>
  JSON.stringify({
    code: refusal.code,
    message: refusal.detail,
    policy: refusal.policy,
    rule: refusal.rule,
    docs: `docs/errors.md#${refusal.code.toLowerCase().replaceAll("_", "-")}`,
  });

const isLeaving = ({ listenerState, connection }: OpenVisit): boolean =>
  listenerState.draining || listenerState.closed || connection.retiring;

const mustClose = (visit: OpenVisit): boolean => {
  if (isLeaving(visit)) return true;
  const { headers } = visit.request;
  if (headers["transfer-encoding"] !== undefined) return true;
  return Number(headers["content-length"] ?? 0) > LONGEST_DISCARDED_BODY;
};

/** Answers a refused visit. The only place where an outcome becomes status, headers and body. */
export const refuse = (visit: OpenVisit, refusal: Refusal, response: ServerResponse): void => {
  const answer = answerOf(visit, refusal);
  // What a peer of the mesh will try elsewhere is told to the mesh, which reads HTTP.
  const tellsMesh = answer.headers[REFUSED_HEADER] !== undefined;
  const forGrpc = !tellsMesh && isGrpc(visit.request.headers["content-type"]);
  const spoken = forGrpc ? inGrpc(visit, refusal, answer) : answer;
  const { status, headers, body } = spoken;
  response.writeHead(status, headers);
  const stream = streamOf(response);
  // Its body is not read, and its sender need not go on with it.
  if (stream?.endAfterHeaders === false) response.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
  response.end(visit.method === "HEAD" ? undefined : body);
};

/** Answers a refused upgrade or CONNECT, for which Node gives a bare socket, and ends the connection. */
export const refuseRaw = (visit: OpenVisit, refusal: Refusal, socket: Duplex): void => {
  const { status, headers, body } = answerOf(visit, refusal);
  const fields = Object.entries({ ...headers, connection: "close" }).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => `${name}: ${each}\r\n`),
  );
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${fields.join("")}\r\n`);
  socket.end(body);
};
