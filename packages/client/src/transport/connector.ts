import { connect as connectTcp, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Credentials, type EffectiveOutsideTls, type Endpoint, MeshError } from "@tulle/policy";
import { describeSkew, fullJitterMs } from "@tulle/time";
import { errorCodeOf } from "./error-code.ts";
import { type ExpectedPeer, isUnverifiedPeer } from "./mutual-tls.ts";
import type { Transport } from "./transport.ts";
import { isCertificateRefused } from "./transport-failure.ts";

/** How undici asks for a socket. */
export type Connect = (options: unknown, callback: (error: Error | null, socket: Socket | null) => void) => void;

/** Failed connects in a row after which further ones are held back for a while. */
export const FAILURES_BEFORE_HOLDING_BACK = 5;

const heldBackFor = { baseMs: 50, maxMs: 1_000 };

/** Probes of the operating system on silent connections. */
const KEEP_ALIVE_PROBE_MS = 60_000;

/** What a connector must know of the endpoint's service. */
export interface ConnectorOptions {
  readonly endpoint: Endpoint;
  /** Constant for the endpoint, whatever host a call names. Empty where a name may not be sent (IP addresses). */
  readonly servername: string;
  /** How TLS to an endpoint of the transport `tls` is made. */
  readonly tls: EffectiveOutsideTls;
  readonly connectTimeoutMs: number;
  /** What the connection may speak, best first, where TLS asks: `h2`, `http/1.1`. @default ["http/1.1"] */
  readonly alpn?: readonly string[];
  /** Read at each connect, so that a changed Service policy counts for the next socket. */
  readonly expected: () => ExpectedPeer;
}

/**
 * Makes the sockets of one endpoint: plaintext, one-sided TLS or mTLS, as the registry says. Bounded in time including the
 * handshake; after several failures in a row it fails at once for a short time, so that a dead endpoint costs no storm of
 * handshakes.
 */
export const createConnector = (options: ConnectorOptions, transport: Transport): Connect => {
  const { endpoint } = options;
  const { clock, counters } = transport;
  const mtls = endpoint.transport === "mtls";
  const where = `endpoint ${endpoint.id} at ${endpoint.address}:${endpoint.port}`;
  let failures = 0;
  let heldBackUntilMs = 0;
  let lastFailure: MeshError | undefined;

  const failed = (error: MeshError): MeshError => {
    counters.connectFailures++;
    failures++;
    lastFailure = error;
    const excess = failures - FAILURES_BEFORE_HOLDING_BACK + 1;
    if (excess > 0) heldBackUntilMs = clock.now() + fullJitterMs(heldBackFor, excess, transport.random);
    return error;
  };

  return (_undiciOptions, callback) => {
    if (clock.now() < heldBackUntilMs) {
      counters.connectsHeldBack++;
      giveUp(
        new MeshError("CONNECT_FAILED", {
          message: `no connection to ${where} was tried, for the last ${failures} failed`,
          cause: lastFailure,
        }),
        callback,
      );
      return;
    }
    const credentials = transport.credentials.current;
    let socket: Socket;
    try {
      socket = transport.home.runInAsyncScope(open, undefined, options, transport);
    } catch (error) {
      giveUp(failed(asConnectFailure(error, where, mtls, transport)), callback);
      return;
    }
    let settled = false;
    const fail = (error: MeshError): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      socket.destroy();
      callback(failed(error), null);
    };
    const timer = transport.home.runInAsyncScope(clock.after, clock, options.connectTimeoutMs, () =>
      fail(
        new MeshError("CONNECT_FAILED", {
          message: `no connection to ${where} within ${options.connectTimeoutMs} ms`,
          hint: "connectTimeout of the Service policy's connectionPool sets the limit",
        }),
      ),
    );
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    // Stays for the socket's life: an error of a socket that nobody uses any more must not end the process.
    socket.on("error", (error) => fail(asConnectFailure(error, where, mtls, transport)));
    socket.once("close", () => fail(asConnectFailure(closedEarly(), where, mtls, transport)));
    socket.once(endpoint.transport === "plaintext" ? "connect" : "secureConnect", () => {
      if (settled) return;
      if (endpoint.transport !== "plaintext") counters.handshakes++;
      if (mtls) {
        const refusal = refusePeer(socket, credentials, options.expected(), transport, where);
        if (refusal !== undefined) {
          fail(refusal);
          return;
        }
      }
      settled = true;
      timer.cancel();
      failures = 0;
      counters.connections++;
      callback(null, socket);
    });
  };
};

/** undici expects the answer later: an answer within its own call would make it recurse once per waiting call. */
const giveUp = (error: MeshError, callback: Parameters<Connect>[1]): void =>
  queueMicrotask(() => callback(error, null));

/** Fails closed: whatever cannot be checked is refused. */
const refusePeer = (
  socket: Socket,
  credentials: Credentials | undefined,
  expected: ExpectedPeer,
  transport: Transport,
  where: string,
): MeshError | undefined => {
  try {
    if (credentials !== undefined && socket instanceof TLSSocket) {
      return transport.mutualTls.refusal(socket, credentials, expected, where);
    }
  } catch (error) {
    return asConnectFailure(error, where, true, transport);
  }
  return new MeshError("IDENTITY_MISMATCH", { message: `the identity of ${where} could not be checked` });
};

const HTTP_1 = ["http/1.1"];

const open = ({ endpoint, servername, tls, alpn = HTTP_1 }: ConnectorOptions, transport: Transport): Socket => {
  const { address, port } = endpoint;
  switch (endpoint.transport) {
    case "plaintext":
      return connectTcp({ host: address, port });
    case "tls":
      return transport.outsideTls.open(
        endpoint,
        tls,
        tls.mutual ? certificateFor(endpoint, transport) : undefined,
        alpn,
      );
    case "mtls":
      return transport.mutualTls.open(certificateFor(endpoint, transport), { address, port, servername }, alpn);
  }
};

const certificateFor = ({ id }: Endpoint, { credentials }: Transport): Credentials => {
  if (credentials.current !== undefined) return credentials.current;
  throw new MeshError("CONNECT_FAILED", {
    message: `endpoint ${id} wants mTLS, and this member has no certificate yet`,
    hint: "await mesh.ready(), or see mesh.status for why joining takes long",
  });
};

const closedEarly = (): Error =>
  Object.assign(new Error("the peer closed the connection while it was made"), { code: "ECONNRESET" });

/** The words of OpenSSL for a certificate outside its time, which may be the clock's fault. */
const timeErrors: ReadonlySet<unknown> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

const asConnectFailure = (error: unknown, where: string, mtls: boolean, transport: Transport): MeshError => {
  if (error instanceof MeshError) return error;
  const code = errorCodeOf(error);
  if (isUnverifiedPeer(code)) {
    const skew = timeErrors.has(code) ? describeSkew(transport.clockSkewMs()) : undefined;
    return new MeshError("IDENTITY_MISMATCH", {
      message: `${where} showed a certificate that cannot be verified (${code}${skew === undefined ? "" : `; ${skew}`})`,
      hint: "it must be valid now and chain to a root that is trusted for this endpoint",
      cause: error,
    });
  }
  const message = `no connection to ${where} (${code ?? String(error)})`;
  return mtls && (code === "ECONNRESET" || isCertificateRefused(code))
    ? new MeshError("CONNECT_FAILED", {
        message,
        hint: "so it ends also when the peer refused our certificate",
        cause: error,
      })
    : new MeshError("CONNECT_FAILED", { message, cause: error });
};
