import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mesh } from "../src/mesh.ts";
import { type Echo, echoBackend } from "./support/echo-backend.ts";
import { conformance, documentsOf, INFRA, MESH, policiesWith } from "./support/gateway-api.ts";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";

// The conformance cases of the Gateway API: its own documents, and requests that are really sent over mTLS.

type Headers = Readonly<Record<string, string>>;

interface Case {
  readonly id: string;
  readonly name?: string;
  readonly request: {
    readonly host?: unknown;
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Headers;
    readonly service?: string;
  };
  readonly retrySimulation?: boolean;
  readonly distribution?: {
    readonly requests: number;
    readonly tolerance: number;
    readonly weights: Readonly<Record<string, number>>;
  };
  readonly backendSetsResponseHeaders?: Headers;
  readonly expect?: {
    readonly status?: readonly number[];
    readonly backend?: string;
    readonly namespace?: string;
    readonly upstreamRequest?: {
      readonly path?: string;
      readonly headers?: Headers;
      readonly absentHeaders?: readonly string[];
    };
    readonly headers?: Headers;
    readonly absentHeaders?: readonly string[];
    readonly redirect?: {
      readonly scheme?: string;
      readonly host?: string;
      readonly path?: string;
      readonly port?: string;
    };
    readonly mirroredTo?: readonly { readonly name: string }[];
  };
}

const backends = [
  ...["v1", "v2"].map((version) => ({ service: `echo-${version}`, namespace: MESH, labels: { app: "echo", version } })),
  ...["infra-backend-v1", "infra-backend-v2", "infra-backend-v3"].map((service) => ({
    service,
    namespace: INFRA,
    labels: { app: service },
  })),
];

const document = conformance<Case>();
const beside = (name: string): string => document.beside(name);
const tests = (document.read()?.tests ?? []).filter(({ test: name }) => !name.includes("GRPC"));

/** The address of a pod is no service of the mesh. */
const canBeSent = ({ request }: Case): boolean => request.host === undefined || typeof request.host === "string";

describe.skipIf(document.missing)(`the Gateway API's cases${document.note}`, () => {
  let fixture: MeshFixture;
  const meshes = new Map<string, Mesh>();
  const heard: string[] = [];

  beforeAll(async () => {
    fixture = await startMesh(policiesWith([], beside));
    await Promise.all(
      backends.map(async ({ service, namespace, labels }) => {
        const mesh = await fixture.join({ service, namespace, labels, token: await fixture.token(service, namespace) });
        await mesh.listen(
          echoBackend(service, namespace, (name) => heard.push(name)),
          {
            port: 0,
            host: "127.0.0.1",
            advertise: "127.0.0.1",
            signals: false,
          },
        );
      }),
    );
    for (const namespace of [MESH, INFRA]) {
      meshes.set(
        namespace,
        await fixture.join({ service: "client", namespace, token: await fixture.token("client", namespace) }),
      );
    }
  }, 60_000);

  afterAll(() => fixture?.[Symbol.asyncDispose](), 60_000);

  describe.each(tests)("$test", ({ applies, manifests, cases }) => {
    const namespace = applies === "re-parent" ? INFRA : MESH;

    beforeAll(async () => {
      const policies = policiesWith(documentsOf({ applies, manifests }, beside), beside);
      const { status, body } = await fixture.admin.call<{ revision: string }>("POST", "/v1/apply", {
        policies,
        prune: true,
      });
      expect({ status, body }).toMatchObject({ status: 200 });
      await fixture.admin.acknowledged(body.revision);
    });

    const send = async (
      { request, retrySimulation, backendSetsResponseHeaders }: Case,
      attempt: number,
    ): Promise<Response> => {
      const mesh = meshes.get(namespace)!;
      const host = typeof request.host === "string" ? request.host : "front";
      const set = Object.entries(backendSetsResponseHeaders ?? {}).map(([name, value]) => `${name}:${value}`);
      const path = request.path ?? "/";
      const told = retrySimulation === true ? `${path}&uuid=${attempt}` : path;
      return mesh.fetch(`http://${host}${told === "" ? "/" : told}`, {
        method: request.method ?? "GET",
        headers: { ...request.headers, ...(set.length === 0 ? {} : { "x-echo-set-header": set.join(",") }) },
        redirect: "manual",
        mesh: { localReplies: "response" },
      });
    };

    test.each(cases.filter(canBeSent).filter((each) => each.distribution === undefined))("$id $name", async (each) => {
      heard.length = 0;
      const { expect: expected = {} } = each;
      const response = await send(each, Math.random());
      const text = await response.text();
      expect(expected.status ?? [200], text).toContain(response.status);
      const echo = response.status === 200 ? (JSON.parse(text) as Echo) : undefined;
      if (echo !== undefined && expected.backend !== undefined) expect(echo.backend).toBe(expected.backend);
      const upstream = expected.upstreamRequest;
      for (const [name, value] of Object.entries(upstream?.headers ?? {})) {
        expect(echo?.headers[name.toLowerCase()]?.replaceAll(", ", ",")).toBe(value);
      }
      for (const name of upstream?.absentHeaders ?? []) expect(echo?.headers).not.toHaveProperty(name.toLowerCase());
      if (upstream?.path && echo !== undefined && each.retrySimulation !== true) expect(echo.path).toBe(upstream.path);
      for (const [name, value] of Object.entries(expected.headers ?? {})) {
        expect(response.headers.get(name)?.replaceAll(", ", ",")).toBe(value);
      }
      for (const name of expected.absentHeaders ?? []) expect(response.headers.has(name)).toBe(false);
      if (expected.redirect !== undefined) {
        const location = new URL(response.headers.get("location") ?? "", "http://front");
        const { scheme, host, path, port } = expected.redirect;
        if (scheme !== undefined) expect(location.protocol).toBe(`${scheme}:`);
        if (host !== undefined) expect(location.hostname).toBe(host);
        if (path !== undefined) expect(location.pathname).toBe(path);
        if (port !== undefined) expect(location.port).toBe(port);
      }
      // Of some rules only a share is copied: chance must not decide here.
      for (const { name } of expected.mirroredTo ?? []) {
        await expect
          .poll(async () => {
            await (await send(each, 0)).text();
            return heard;
          })
          .toContain(name);
      }
    });

    const spread = cases.filter(({ distribution }) => distribution !== undefined);
    test.each(spread)("$id is spread as its weights say", async (each) => {
      const { tolerance, weights } = each.distribution!;
      // The origin sends fewer, and tries again up to ten times when chance strays too far.
      const requests = 8 * each.distribution!.requests;
      const counts = new Map<string, number>();
      const one = async (at: number): Promise<void> => {
        const { backend } = (await (await send(each, at)).json()) as Echo;
        counts.set(backend, (counts.get(backend) ?? 0) + 1);
      };
      // As many at once as the origin's own test sends.
      for (let at = 0; at < requests; at += 10) await Promise.all(Array.from({ length: 10 }, (_, n) => one(at + n)));
      for (const [backend, weight] of Object.entries(weights)) {
        expect(Math.abs((counts.get(backend) ?? 0) / requests - weight)).toBeLessThanOrEqual(tolerance);
      }
    });
  });
});
