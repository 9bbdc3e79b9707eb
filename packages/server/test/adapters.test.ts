import { createServer } from "node:http";
import { expressMesh } from "@tulle/server/express";
import { fastifyMesh } from "@tulle/server/fastify";
import { meshHandler } from "@tulle/server/node-http";
import express from "express";
import fastify from "fastify";
import { adapterContract, type Scene } from "./adapter.contract.ts";

const expressApp = ({ server, see, ran }: Scene) => {
  const app = express();
  app.get("/early", (_request, response) => {
    ran("early");
    response.end("early");
  });
  app.use(expressMesh(server));
  app.use(express.json());
  const routes = express.Router();
  routes.get("/:id", (request, response) => {
    ran("reviews");
    response.set("tulle-refused", "unprocessed").json(see(request.mesh));
  });
  app.use("/reviews", routes);
  app.get("/mine", (request, response) => {
    request.mesh?.permit?.require(false, "not the owner");
    response.end();
  });
  app.post("/echo", (request, response) => {
    ran("echo");
    response.json(see(request.mesh));
  });
  return app;
};

adapterContract("Express", {
  app: expressApp,
  own: async (scene) => createServer(expressApp(scene)),
  template: "/reviews/:id",
});

const fastifyApp = ({ server, see, ran }: Scene) => {
  const app = fastify();
  app.route({
    method: "GET",
    url: "/early",
    handler: async () => {
      ran("early");
      return "early";
    },
  });
  app.register(fastifyMesh, { mesh: server });
  app.register(async (routes) => {
    routes.get("/reviews/:id", async (request, reply) => {
      ran("reviews");
      reply.header("tulle-refused", "unprocessed");
      return see(request.mesh ?? undefined);
    });
    routes.get("/mine", async (request) => {
      request.mesh?.permit?.require(false, "not the owner");
      return "mine";
    });
    routes.post("/echo", async (request) => {
      ran("echo");
      return see(request.mesh ?? undefined);
    });
  });
  return app;
};

adapterContract("Fastify", {
  app: fastifyApp,
  own: async (scene) => {
    const app = fastifyApp(scene);
    await app.listen({ port: 0, host: "127.0.0.1" });
    return app.server;
  },
  template: "/reviews/:id",
});

const nodeHandler = ({ server, see, ran }: Scene) =>
  meshHandler(server, (request, response, visit) => {
    if (request.url === "/early") ran("early");
    if (request.url === "/mine") visit.permit?.require(false, "not the owner");
    // By events and not by await, as much code still does.
    request.resume().on("end", () => {
      ran(String(request.url));
      response.writeHead(200, { "content-type": "application/json", "tulle-refused": "unprocessed" });
      response.end(JSON.stringify(see(visit)));
    });
  });

adapterContract("node:http", {
  app: nodeHandler,
  own: async (scene) => createServer(nodeHandler(scene)),
  template: undefined,
});
