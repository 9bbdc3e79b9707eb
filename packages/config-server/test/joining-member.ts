import type { IncomingMessage } from "node:http";
import { MESH_PATH, type ServerMessage } from "@tulle/protocol";
import { makeCertificateRequest } from "@tulle/testing";
import { type ClientOptions, WebSocket } from "ws";

/** How joining ended: with a certificate, or with the refusal and where it came. */
export interface JoinOutcome {
  readonly spiffeId?: string;
  readonly chain?: string;
  readonly refused?: string;
  readonly message?: string;
  /** Of the HTTP answer, when the upgrade was refused. */
  readonly status?: number;
  /** Of the closing frame, when the connection was. */
  readonly closed?: number;
}

/** What a joining process does otherwise than a good one. */
export interface JoinWish {
  readonly namespace?: string;
  readonly csr?: string;
  readonly socket?: ClientOptions;
}

/** Joins by a token over a real connection, as far as the certificate. */
export const joinBy = async (
  server: { readonly url: string; readonly ca: string },
  token: string | undefined,
  wish: JoinWish | string = {},
): Promise<JoinOutcome> => {
  const { namespace = "default", csr, socket: options = {} } = typeof wish === "string" ? { namespace: wish } : wish;
  const request = csr ?? (await makeCertificateRequest());
  const socket = new WebSocket(`${server.url}${MESH_PATH}`, {
    ca: server.ca,
    perMessageDeflate: false,
    ...options,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...options.headers },
  });
  socket.on("error", () => undefined);
  try {
    return await new Promise<JoinOutcome>((resolve, reject) => {
      let outcome: JoinOutcome = {};
      socket.on("unexpected-response", (_, response) => readRefusal(response).then(resolve, reject));
      socket.on("open", () =>
        socket.send(
          JSON.stringify({
            type: "hello",
            protocol: { min: 1, max: 1 },
            features: [],
            software: "test/1",
            member: { id: `m-${Math.random().toString(36).slice(2)}`, namespace, service: "any", labels: {} },
            held: {},
            subscriptions: [],
          }),
        ),
      );
      socket.on("message", (data) => {
        const message: ServerMessage = JSON.parse(String(data));
        if (message.type === "welcome") {
          outcome = { ...outcome, spiffeId: message.spiffeId };
          socket.send(JSON.stringify({ type: "certificate-request", id: 1, csr: request }));
        } else if (message.type === "certificate") resolve({ ...outcome, chain: message.chain });
        else if (message.type === "refused") {
          outcome = { ...outcome, refused: message.code, message: message.message };
          // A request that is refused leaves the connection open.
          if (message.id !== undefined) resolve(outcome);
        }
      });
      socket.on("close", (closed) => resolve({ ...outcome, closed }));
    });
  } finally {
    socket.terminate();
  }
};

const readRefusal = async (response: IncomingMessage): Promise<JoinOutcome> => {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  const { code, message } = JSON.parse(text);
  return { refused: code, message, status: response.statusCode ?? 0 };
};
