// What is known of a book: a plain node:http handler behind the mesh.
import type { IncomingMessage, ServerResponse } from "node:http";
import { joinMesh } from "tulle";
import { meshHandler } from "tulle/node-http";
import type { Book } from "./book.ts";
import { onLoopback, readyTimeout, reportTo, servedBy, startMemberTelemetry } from "./member-process.ts";

const version = "v1";
const books: Readonly<Record<string, Omit<Book, "servedBy">>> = {
  "0": {
    id: 0,
    title: "The Comedy of Errors",
    author: "William Shakespeare",
    year: 1594,
    kind: "paperback",
    pages: 200,
    language: "English",
  },
};

startMemberTelemetry();
const mesh = await joinMesh({ service: "details", labels: { app: "details", version }, readyTimeout, logger: console });

const handler = (request: IncomingMessage, response: ServerResponse): void => {
  const { pathname } = new URL(request.url ?? "/", "http://details");
  const book = books[/^\/details\/(\d+)$/.exec(pathname)?.[1] ?? ""];
  const [status, body] = book ? [200, { ...book, servedBy: servedBy(version) }] : [404, { error: "no such book" }];
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};

reportTo(process, await mesh.listen(meshHandler(mesh, handler), onLoopback));
