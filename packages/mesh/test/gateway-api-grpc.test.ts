import { readDocuments, type SourceDocument } from "@tulle/translate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mesh } from "../src/mesh.ts";
import { conformance, documentsOf, INFRA, MESH, policiesWith } from "./support/gateway-api.ts";
import { type GrpcEcho, grpcEchoBackend, grpcFrame, messageIn } from "./support/grpc-echo-backend.ts";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";

// The conformance cases of GRPCRoute, and what a user of it expects besides: calls of gRPC in HTTP/2 over mTLS.

type Headers = Readonly<Record<string, string>>;

interface Case {
  readonly id: string;
  readonly name?: string;
  readonly request: {
    readonly host?: string;
    readonly service?: string;
    readonly method?: string;
    readonly metadata?: Headers;
    readonly headers?: Headers;
  };
  readonly expect: {
    readonly grpcStatus?: number;
    readonly backend?: string;
    readonly namespace?: string;
    readonly upstreamRequest?: { readonly headers?: Headers; readonly absentHeaders?: readonly string[] };
  };
}

const corpusOfCases = conformance<Case>();
const tests = (corpusOfCases.read()?.tests ?? []).filter(({ test: name }) => name.includes("GRPC"));

const backends = [
  ...["v1", "v2"].map((version) => ({ service: `echo-${version}`, namespace: MESH, labels: { app: "echo", version } })),
  ...["grpc-infra-backend-v1", "grpc-infra-backend-v2"].map((service) => ({
    service,
    namespace: INFRA,
    labels: { app: service },
  })),
];

interface Answer {
  readonly grpcStatus: number;
  readonly grpcMessage: string | undefined;
  readonly echo: GrpcEcho | undefined;
}

/** Calls a method without a message, as a client of gRPC does. */
const call = async (mesh: Mesh, url: string, headers: Headers = {}): Promise<Answer> => {
  const reply = await mesh.request(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/grpc+json", te: "trailers" },
    body: grpcFrame(Buffer.from("{}")),
  });
  const body = Buffer.from(await reply.body.arrayBuffer());
  const said = { ...reply.headers, ...reply.trailers };
  expect([reply.statusCode, said["grpc-status"]]).toEqual([200, expect.stringMatching(/^\d+$/)]);
  return {
    grpcStatus: Number(said["grpc-status"]),
    grpcMessage: said["grpc-message"] as string | undefined,
    echo: body.length === 0 ? undefined : (JSON.parse(messageIn(body).toString()) as GrpcEcho),
  };
};

describe.skipIf(corpusOfCases.missing)(`GRPCRoutes${corpusOfCases.note}`, () => {
  let fixture: MeshFixture;
  const callers = new Map<string, Mesh>();
  const heard: string[] = [];

  beforeAll(async () => {
    fixture = await startMesh(policiesWith([], beside));
    await Promise.all(
      backends.map(async ({ service, namespace, labels }) => {
        const mesh = await fixture.join({ service, namespace, labels, token: await fixture.token(service, namespace) });
        await mesh.listen(
          grpcEchoBackend(service, namespace, (name) => heard.push(name)),
          { port: 0, host: "127.0.0.1", advertise: "127.0.0.1", signals: false },
        );
      }),
    );
    for (const namespace of [MESH, INFRA]) {
      const token = await fixture.token("client", namespace);
      callers.set(namespace, await fixture.join({ service: "client", namespace, token }));
    }
  }, 60_000);

  afterAll(() => fixture?.[Symbol.asyncDispose](), 60_000);

  const beside = (name: string): string => corpusOfCases.beside(name);
  const routesOf = (each: (typeof tests)[number]): readonly SourceDocument[] => documentsOf(each, beside);
  const callerIn = (namespace: string): Mesh => callers.get(namespace)!;

  const apply = async (routes: readonly SourceDocument[]): Promise<void> => {
    const { status, body } = await fixture.admin.call<{ revision: string }>("POST", "/v1/apply", {
      policies: policiesWith(routes, beside),
      prune: true,
    });
    expect({ status, body }).toMatchObject({ status: 200 });
    await fixture.admin.acknowledged(body.revision);
  };

  describe.each(tests)("$test", (each) => {
    const namespace = each.applies === "re-parent" ? INFRA : MESH;
    beforeAll(() => apply(routesOf(each)));

    test.each(each.cases)("$id $name", async ({ request, expect: expected }) => {
      const { host = "front", service = "proto.EchoTestService", method = "Echo" } = request;
      const { grpcStatus, echo } = await call(callerIn(namespace), `http://${host}/${service}/${method}`, {
        ...request.headers,
        ...request.metadata,
      });
      expect(grpcStatus).toBe(expected.grpcStatus ?? 0);
      expect(echo?.backend).toBe(expected.backend);
      if (echo !== undefined) {
        expect([echo.namespace, echo.httpVersion]).toEqual([expected.namespace ?? namespace, "2.0"]);
      }
      for (const [name, value] of Object.entries(expected.upstreamRequest?.headers ?? {})) {
        expect(echo?.headers[name.toLowerCase()]?.replaceAll(", ", ",")).toBe(value);
      }
      for (const name of expected.upstreamRequest?.absentHeaders ?? []) {
        expect(echo?.headers).not.toHaveProperty(name.toLowerCase());
      }
    });
  });

  const routes = (text: string): readonly SourceDocument[] => readDocuments(text, "routes.yaml", MESH).documents;
  const bound = (kind: string, name: string, port: number | undefined, rules: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: echo${port === undefined ? "" : `, port: ${port}`} }]
  rules: ${rules}`;

  test("calls of a method whose backend is not there are answered with UNAVAILABLE", async () => {
    await apply(routes(bound("GRPCRoute", "lost", 7070, "[{ backendRefs: [{ name: nobody, port: 7070 }] }]")));
    const answer = await call(callerIn(MESH), "http://echo:7070/shop.Reviews/Get");
    expect(answer).toEqual({ grpcStatus: 14, grpcMessage: "the call leads to no backend", echo: undefined });
  });

  test("the longer service goes first, then the longer method, whatever the order of the rules", async () => {
    const rule = (match: string, to: string) =>
      `{ matches: [{ ${match} }], backendRefs: [{ name: ${to}, port: 7070 }] }`;
    await apply(
      routes(
        bound(
          "GRPCRoute",
          "order",
          7070,
          `[${rule("method: { method: Get }", "echo-v1")}, ${rule("method: { service: shop.Reviews }", "echo-v2")}]`,
        ),
      ),
    );
    const backendOf = async (method: string) =>
      (await call(callerIn(MESH), `http://echo:7070/${method}`)).echo?.backend;
    expect(await backendOf("shop.Reviews/Get")).toBe("echo-v2");
    expect(await backendOf("shop.Ratings/Get")).toBe("echo-v1");
    expect((await call(callerIn(MESH), "http://echo:7070/shop.Ratings/List")).grpcStatus).toBe(12);
  });

  test("a port of gRPC and a port of HTTP of one service have their own routes", async () => {
    await apply(
      routes(
        [
          bound("GRPCRoute", "grpc", 7070, "[{ backendRefs: [{ name: echo-v1, port: 7070 }] }]"),
          bound("HTTPRoute", "http", undefined, "[{ backendRefs: [{ name: echo-v2, port: 80 }] }]"),
        ].join("\n---"),
      ),
    );
    expect((await call(callerIn(MESH), "http://echo:7070/shop.Reviews/Get")).echo?.backend).toBe("echo-v1");
    expect((await call(callerIn(MESH), "http://echo/shop.Reviews/Get")).echo?.backend).toBe("echo-v2");
  });

  test("copies of calls reach the backend of a mirror, and their answers nobody", async () => {
    const filters = "[{ type: RequestMirror, requestMirror: { backendRef: { name: echo-v2, port: 7070 } } }]";
    const rules = `[{ filters: ${filters}, backendRefs: [{ name: echo-v1, port: 7070 }] }]`;
    await apply(routes(bound("GRPCRoute", "mirror", 7070, rules)));
    heard.length = 0;
    expect((await call(callerIn(MESH), "http://echo:7070/shop.Reviews/Get")).echo?.backend).toBe("echo-v1");
    await expect.poll(() => [...heard].sort()).toEqual(["echo-v1", "echo-v2"]);
  });
});
