import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

/** An issuer of tokens that publishes its keys over HTTP. */
export interface KeyServer extends AsyncDisposable {
  readonly uri: string;
  /** Requests that came. */
  requests: number;
  /** What is answered from now on; by default the keys it was started with. */
  answer: (request: IncomingMessage, response: ServerResponse) => unknown;
}

/** Publishes a key set. `?delay=500ms` makes an answer wait, as Istio's test server does. */
export const startKeyServer = async (jwks: unknown): Promise<KeyServer> => {
  const server = createServer(async (request, response) => {
    keys.requests += 1;
    const delay = /[?&]delay=(\d+)ms/.exec(request.url ?? "")?.[1];
    if (delay !== undefined) await wait(Number(delay));
    keys.answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const keys: KeyServer = {
    uri: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/jwks`,
    requests: 0,
    answer: (_request, response) => response.setHeader("content-type", "application/json").end(JSON.stringify(jwks)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return keys;
};
