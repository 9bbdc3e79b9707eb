// One callee of admission-cost.ts, a process of its own: a framework over mTLS, bare or behind the mesh's gates.
import { constants } from "node:crypto";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { metrics } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import type { Credentials, Policy } from "@tulle/policy";
import express from "express";
import { fastify } from "fastify";
import { createMesh } from "tulle";
import { expressMesh } from "tulle/express";
import { fastifyMesh } from "tulle/fastify";

/** What a callee is to be. */
export interface CalleeOrder {
  readonly framework: "node:http" | "Express" | "Fastify";
  /** `bare` is the framework alone; `admitted` has all gates; `measured` OpenTelemetry's SDK for metrics too. */
  readonly how: "bare" | "admitted" | "measured";
  readonly credentials: Credentials;
}

const answer = {
  id: 7,
  reviews: Array.from({ length: 6 }, (_, at) => ({ reviewer: `reader-${at}`, text: "x".repeat(60) })),
};
const body = JSON.stringify(answer);
const plain: RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
};

/** A hundred rules, of which the one that fits is looked for among all. */
const policies: readonly Policy[] = [
  { kind: "Mesh", name: "mesh", mtls: "strict" },
  { kind: "Service", name: "reviews" },
  {
    kind: "Access",
    name: "callers",
    selector: { service: "reviews" },
    rules: Array.from({ length: 100 }, (_, at) => ({
      from: [{ principals: [`cluster.local/ns/default/sa/${at === 70 ? "caller" : `caller-${at}`}`] }],
      to: [{ methods: ["GET"], paths: ["/reviews/*"] }],
    })),
  },
];

const listenBare = async ({ framework, credentials }: CalleeOrder): Promise<number> => {
  // As the mesh's own port, so that the difference is not TLS's.
  const tls = {
    cert: credentials.certificateChain,
    key: credentials.privateKey,
    ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_TICKET,
    keepAliveTimeout: 360_000,
  } as const;
  if (framework === "Fastify") {
    const app = fastify({ https: tls, keepAliveTimeout: 360_000 });
    app.get("/reviews/:id", () => answer);
    await app.listen({ port: 0, host: "127.0.0.1" });
    return portOf(app.server);
  }
  const server = createHttpsServer(tls, framework === "Express" ? expressApp() : plain);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return portOf(server);
};

const expressApp = () => {
  const app = express();
  app.get("/reviews/:id", (_request, response) => void response.json(answer));
  return app;
};

const listenAdmitted = async ({ framework, how, credentials }: CalleeOrder): Promise<number> => {
  if (how === "measured") {
    const reader = new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
      exportIntervalMillis: 3_600_000,
    });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  }
  const mesh = createMesh({ policies, endpoints: {}, service: "reviews", credentials });
  const options = { port: 0, host: "127.0.0.1", signals: false } as const;
  if (framework === "Fastify") {
    const app = fastify();
    await app.register(fastifyMesh, { mesh });
    app.get("/reviews/:id", () => answer);
    return (await mesh.listen(app, options)).port;
  }
  if (framework === "node:http") return (await mesh.listen(createHttpServer(plain), options)).port;
  const app = express();
  app.use(expressMesh(mesh));
  app.get("/reviews/:id", (_request, response) => void response.json(answer));
  return (await mesh.listen(app, options)).port;
};

// A server that listens on a port has an AddressInfo.
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

process.once("message", async (order: CalleeOrder) => {
  process.send?.(order.how === "bare" ? await listenBare(order) : await listenAdmitted(order));
  process.on("message", () => process.send?.(process.cpuUsage()));
});
process.once("disconnect", () => process.exit(0));
