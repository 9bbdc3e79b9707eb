import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

/** What an echo backend of gRPC answers, as JSON in its one message. */
export interface GrpcEcho {
  readonly backend: string;
  readonly namespace: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string>>;
}

const FRAME_HEAD = 5;

/** One uncompressed message as gRPC sends it. */
export const grpcFrame = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

/** The message of a frame. */
export const messageIn = (frame: Buffer): Buffer => frame.subarray(FRAME_HEAD, FRAME_HEAD + frame.readUInt32BE(1));

/** A handler that answers every method of gRPC with what it was sent. */
export const grpcEchoBackend =
  (
    backend: string,
    namespace: string,
    heard: (backend: string) => void = () => undefined,
  ): ((request: IncomingMessage, response: ServerResponse) => void) =>
  (request, response) => {
    heard(backend);
    const echo: GrpcEcho = {
      backend,
      namespace,
      path: request.url ?? "",
      httpVersion: request.httpVersion,
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    };
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/grpc+json" });
      response.write(grpcFrame(Buffer.from(JSON.stringify(echo))));
      // A member's listener hands HTTP/2 requests to the same handlers.
      (response as unknown as Http2ServerResponse).addTrailers({ "grpc-status": "0" });
      response.end();
    });
  };
