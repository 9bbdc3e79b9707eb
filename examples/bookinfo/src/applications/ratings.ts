// Stars by reviewer: an Express application behind the mesh.
import express from "express";
import { joinMesh } from "tulle";
import { expressMesh } from "tulle/express";
import type { Ratings } from "./book.ts";
import { onLoopback, readyTimeout, reportTo, servedBy, startMemberTelemetry } from "./member-process.ts";

const version = "v1";
const ratingsOf: Readonly<Record<string, Ratings["ratings"]>> = { "0": { Ada: 5, Bo: 4 } };

startMemberTelemetry();
const mesh = await joinMesh({ service: "ratings", labels: { app: "ratings", version }, readyTimeout, logger: console });

const app = express();
app.use(expressMesh(mesh));
app.get("/ratings/:id", (request, response) => {
  const ratings = ratingsOf[request.params.id];
  if (ratings === undefined) {
    response.status(404).json({ error: "no such book" });
    return;
  }
  const answer: Ratings = { id: Number(request.params.id), ratings, servedBy: servedBy(version) };
  response.json(answer);
});

reportTo(process, await mesh.listen(app, onLoopback));
