// The page: an Express application with a public listener for browsers, which are strangers to the mesh.
import express from "express";
import { joinMesh } from "tulle";
import { expressMesh } from "tulle/express";
import type { Book, Reviews } from "./book.ts";
import { onLoopback, readyTimeout, reportTo, servedBy, startMemberTelemetry } from "./member-process.ts";
import { renderPage } from "./page.ts";
import { whyNot } from "./why-not.ts";

const version = "v1";
const products: readonly { readonly id: number; readonly title: string }[] = [{ id: 0, title: "The Comedy of Errors" }];
const THE_BOOK = "0";

startMemberTelemetry();
const mesh = await joinMesh({
  service: "productpage",
  labels: { app: "productpage", version },
  dependencies: ["details", "reviews"],
  readyTimeout,
  logger: console,
});

/** One part of the page: what a service answered, or why there is nothing. A page with a hole is better than none. */
const ask = async <T>(url: string, headers: Record<string, string> = {}): Promise<Part<T>> => {
  try {
    const response = await mesh.fetch(url, { headers });
    // The mesh has proved which service answered, and that service's answer has this shape.
    if (response.ok) return { value: (await response.json()) as T };
    return { status: response.status, error: await whyNot(url, response) };
  } catch (error) {
    console.error(error);
    return { status: 503, error: error instanceof Error ? error.message : String(error) };
  }
};
type Part<T> = { readonly value: T } | { readonly status: number; readonly error: string };

/** Who is signed in, and which reviews were asked for: the headers that the mesh's routes look at. */
const routingHeaders = (query: Readonly<Record<string, unknown>>): Record<string, string> => ({
  ...(query.u === "jason" ? { "end-user": "jason" } : {}),
  ...(query.reviews === "v3" ? { "x-reviews": "v3" } : {}),
});

const app = express();
app.use(expressMesh(mesh));

app.get("/", (_request, response) => response.redirect("/productpage"));

app.get("/productpage", async (request, response) => {
  const headers = routingHeaders(request.query);
  const [book, reviews] = await Promise.all([
    ask<Book>(`http://details/details/${THE_BOOK}`),
    ask<Reviews>(`http://reviews/reviews/${THE_BOOK}`, headers),
  ]);
  const complete = "value" in book && "value" in reviews;
  const user = headers["end-user"];
  response
    .status(complete ? 200 : 503)
    .set("cache-control", "no-store")
    .type("html")
    .send(renderPage({ book, reviews, user, servedBy: servedBy(version) }));
});

app.get("/api/v1/products", (_request, response) => response.json(products));

app.get("/api/v1/products/:id", async (request, response) => {
  const book = await ask<Book>(`http://details/details/${encodeURIComponent(request.params.id)}`);
  if ("value" in book) response.json(book.value);
  else response.status(book.status).json({ error: book.error });
});

app.get("/api/v1/products/:id/reviews", async (request, response) => {
  const url = `http://reviews/reviews/${encodeURIComponent(request.params.id)}`;
  const reviews = await ask<Reviews>(url, routingHeaders(request.query));
  if ("value" in reviews) response.json(reviews.value);
  else response.status(reviews.status).json({ error: reviews.error });
});

const publicPort = Number(process.env.PUBLIC_PORT ?? 0);
reportTo(process, await mesh.listen(app, { ...onLoopback, public: [{ port: publicPort }] }));
