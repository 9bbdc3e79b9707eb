import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { MAX_PART_BYTES, MESH_PATH, ProtocolError, type RefusalCode, refusalCodes } from "@tulle/protocol";
import type { Clock, Timer } from "@tulle/time";
import { type RawData, WebSocket } from "ws";
import { ConnectFailure } from "./connect-failure.ts";
import type { ServerAddress } from "./server-address.ts";

/** What a connection tells its owner. After `closed` it tells nothing more. */
export interface ConnectionListener {
  /** A text message and its length in bytes. A ProtocolError thrown from here ends the connection. */
  message(text: string, bytes: number): void;
  closed(failure: ConnectFailure): void;
}

/** A WebSocket to the config-server. */
export interface Connection {
  send(text: string): void;
  /** Ends it in good order; `closed` follows within a second. */
  close(): void;
  /** Ends the connection when the peer is silent for two intervals. */
  expectPings(intervalMs: number): void;
}

/** What the upgrade needs. */
export interface Upgrade {
  readonly address: ServerAddress;
  /** Proven to be the config-server's. */
  readonly socket: TLSSocket;
  readonly token: string | undefined;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Codes of the closing handshake (RFC 6455, section 7.4.1). */
const NORMAL = 1000;
const PROTOCOL_ERROR = 1002;
const UNSUPPORTED_DATA = 1003;

/** How long the peer may take to answer a closing handshake. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Longest body that is read of an answer that is no upgrade. */
const MAX_REFUSAL_BYTES = 16_384;

/**
 * Upgrades a TLS connection to a WebSocket.
 *
 * @throws ConnectFailure `refused` when the server said why not, else `unreachable`.
 */
export const openConnection = (upgrade: Upgrade, listener: ConnectionListener): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const { address, socket, clock, timeoutMs, signal } = upgrade;
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    const webSocket = new WebSocket(`wss://${host}:${address.port}${MESH_PATH}`, {
      createConnection: () => socket,
      perMessageDeflate: false,
      maxPayload: MAX_PART_BYTES,
      ...(upgrade.token === undefined ? {} : { headers: { authorization: `Bearer ${upgrade.token}` } }),
    });
    const live = new LiveConnection(webSocket, clock, address, listener);
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      return true;
    };
    const fail = (failure: ConnectFailure): void => {
      if (!settle()) return;
      webSocket.terminate();
      socket.destroy();
      reject(failure);
    };
    const timer = clock.after(timeoutMs, () =>
      fail(new ConnectFailure("unreachable", `${address.url} did not answer the upgrade within ${timeoutMs} ms`)),
    );
    const onAbort = (): void => fail(new ConnectFailure("unreachable", `the upgrade at ${address.url} was given up`));
    signal.addEventListener("abort", onAbort, { once: true });
    webSocket.on("error", (error) =>
      fail(new ConnectFailure("unreachable", `${address.url}: ${error.message}`, { cause: error })),
    );
    webSocket.on("unexpected-response", (_request, response) => {
      readRefusal(address, response).then(fail, fail);
    });
    webSocket.on("close", () => fail(new ConnectFailure("unreachable", `${address.url} closed the connection`)));
    webSocket.on("open", () => {
      if (settle()) resolve(live);
    });
    if (signal.aborted) onAbort();
  });

const readRefusal = async (address: ServerAddress, response: IncomingMessage): Promise<ConnectFailure> => {
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) {
    body += String(chunk);
    if (body.length > MAX_REFUSAL_BYTES) break;
  }
  const said = saidIn(body);
  const code = refusalCodes.find((each) => each === said.code);
  const message = `${address.url} answered ${response.statusCode}${said.message === undefined ? "" : `: ${said.message}`}`;
  if (code !== undefined) return new ConnectFailure("refused", message, { code });
  return response.statusCode === 401 || response.statusCode === 403
    ? new ConnectFailure("refused", message, { code: "unauthenticated" satisfies RefusalCode })
    : new ConnectFailure("unreachable", message);
};

const saidIn = (body: string): { readonly code?: unknown; readonly message?: string } => {
  try {
    const said: unknown = JSON.parse(body);
    if (typeof said !== "object" || said === null) return {};
    const message =
      "message" in said && typeof said.message === "string" ? { message: said.message.slice(0, 1_000) } : {};
    return "code" in said ? { code: said.code, ...message } : message;
  } catch {
    return {};
  }
};

class LiveConnection implements Connection {
  readonly #webSocket: WebSocket;
  readonly #clock: Clock;
  readonly #address: ServerAddress;
  readonly #listener: ConnectionListener;
  #failure: ConnectFailure | undefined;
  #shutting = false;
  #closed = false;
  #heardMs: number;
  #watch: Timer | undefined;

  constructor(webSocket: WebSocket, clock: Clock, address: ServerAddress, listener: ConnectionListener) {
    this.#webSocket = webSocket;
    this.#clock = clock;
    this.#address = address;
    this.#listener = listener;
    this.#heardMs = clock.now();
    // Listening from the start: messages may come with the same packet as the upgrade's answer.
    webSocket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    webSocket.on("ping", () => this.#heard());
    webSocket.on("error", (error) => {
      this.#failure ??= failureOf(error, address);
    });
    webSocket.on("close", (code, reason) => this.#ended(code, reason.toString("utf8")));
  }

  send(text: string): void {
    // Whatever is said after the end is repeated by the next connection's hello and replays.
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(text);
  }

  close(): void {
    this.#shut(NORMAL, "");
  }

  expectPings(intervalMs: number): void {
    if (this.#closed || this.#shutting) return;
    this.#watch?.cancel();
    const silenceMs = intervalMs * 2;
    const dueMs = this.#heardMs + silenceMs - this.#clock.now();
    this.#watch = this.#clock.after(dueMs, () => {
      if (this.#clock.now() - this.#heardMs < silenceMs) return this.expectPings(intervalMs);
      this.#failure ??= new ConnectFailure("lost", `${this.#address.url} was silent for ${silenceMs} ms`);
      this.#webSocket.terminate();
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#heard();
    try {
      if (isBinary) throw new ProtocolError("binary-frame", "a binary frame; every message is text");
      // ws hands over one Buffer unless another `binaryType` was asked for.
      const bytes = data as Buffer;
      this.#listener.message(bytes.toString("utf8"), bytes.length);
    } catch (error) {
      // Whatever goes wrong with a message costs the connection, never the process.
      const code = error instanceof ProtocolError ? error.code : "internal";
      const message = `a message of ${this.#address.url} could not be taken: ${error instanceof Error ? error.message : error}`;
      this.#failure = new ConnectFailure("protocol", message, { code, cause: error });
      this.#shut(code === "binary-frame" ? UNSUPPORTED_DATA : PROTOCOL_ERROR, code);
    }
  }

  #shut(code: number, reason: string): void {
    if (this.#closed) return;
    this.#shutting = true;
    this.#webSocket.close(code, reason);
    this.#watch?.cancel();
    this.#watch = this.#clock.after(CLOSE_TIMEOUT_MS, () => this.#webSocket.terminate());
  }

  #heard(): void {
    this.#heardMs = this.#clock.now();
  }

  #ended(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.cancel();
    const words = reason === "" ? "" : ` ${JSON.stringify(reason)}`;
    this.#listener.closed(
      this.#failure ?? new ConnectFailure("lost", `${this.#address.url} closed the connection (${code}${words})`),
    );
  }
}

const failureOf = (error: Error & { readonly code?: string }, address: ServerAddress): ConnectFailure =>
  error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"
    ? new ConnectFailure("protocol", `${address.url} said a message of more than ${MAX_PART_BYTES} bytes`, {
        code: "too-large",
        cause: error,
      })
    : new ConnectFailure("lost", `${address.url}: ${error.message}`, { cause: error });
