// Opinions of a book: a Fastify application behind the mesh. One file, three versions: v1 knows no stars, v2 shows them
// black, v3 red; both ask `ratings` for them.
import fastify from "fastify";
import { joinMesh } from "tulle";
import { fastifyMesh } from "tulle/fastify";
import type { Ratings, Review, Reviews } from "./book.ts";
import { onLoopback, readyTimeout, reportTo, servedBy, startMemberTelemetry } from "./member-process.ts";
import { whyNot } from "./why-not.ts";

const version = process.env.VERSION ?? "v1";
const color = ({ v2: "black", v3: "red" } as const)[version];
const opinions: Readonly<Record<string, readonly Review[]>> = {
  "0": [
    {
      reviewer: "Ada",
      text: "Two pairs of twins, one long day, and nobody asks the obvious question. I laughed aloud.",
    },
    { reviewer: "Bo", text: "Short, quick and silly in the best way. Read it in one sitting." },
  ],
};

startMemberTelemetry();
const mesh = await joinMesh({
  service: "reviews",
  labels: { app: "reviews", version },
  dependencies: color === undefined ? [] : ["ratings"],
  readyTimeout,
  logger: console,
});

const app = fastify();
await app.register(fastifyMesh, { mesh });
app.get<{ Params: { id: string } }>("/reviews/:id", async (request, reply) => {
  const { id } = request.params;
  const reviews = opinions[id];
  if (reviews === undefined) return reply.code(404).send({ error: "no such book" });
  const unrated = { id: Number(id), reviews, servedBy: servedBy(version) };
  if (color === undefined) return unrated;

  // Who is signed in goes along, for the routes to ratings may look at it.
  const user = request.headers["end-user"];
  const headers = typeof user === "string" ? { "end-user": user } : {};
  const response = await mesh.fetch(`http://ratings/ratings/${id}`, { headers });
  if (!response.ok) return reply.code(502).send({ error: await whyNot("ratings", response) });
  // The mesh has proved that `ratings` answered, and that service's answer has this shape.
  const { ratings, servedBy: ratingsServedBy } = (await response.json()) as Ratings;
  const rated = reviews.map((review) => {
    const stars = ratings[review.reviewer];
    return stars === undefined ? review : { ...review, rating: { stars, color } };
  });
  return { ...unrated, reviews: rated, ratingsServedBy } satisfies Reviews;
});

reportTo(process, await mesh.listen(app, onLoopback));
