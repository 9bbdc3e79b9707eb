import type { Policy } from "@tulle/policy";
import { readDocuments, type SourceDocument, translate } from "@tulle/translate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import type { Mesh } from "../src/mesh.ts";
import { type Echo, echoBackend } from "./support/echo-backend.ts";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";

// Istio's own traffic tests: its VirtualServices, and calls from a to b that are really sent over mTLS.

type Headers = Readonly<Record<string, string>>;

interface Call {
  readonly name?: string;
  readonly request: {
    readonly port: string;
    readonly method: string;
    readonly path: string;
    readonly host?: string;
    readonly headers?: Headers;
    readonly followRedirects?: boolean;
    readonly count?: number;
    readonly to?: string;
  };
  readonly expect: {
    readonly status: readonly number[];
    readonly headers?: Headers;
    readonly upstream?: { readonly host?: string; readonly path?: string; readonly headers?: Headers };
    readonly split?: Readonly<Record<string, number>>;
    readonly within?: number;
  };
}

interface Table {
  readonly traffic: readonly { readonly name: string; readonly yaml: string; readonly calls: readonly Call[] }[];
}

const NAMESPACE = "ns1";
const ports: Readonly<Record<string, number>> = { http: 80, http2: 85, grpc: 7070, "auto-http": 81 };
const backends = ["b", "c", "d"];

/** So many times the calls that a table sends, where shares are counted: then chance strays by far less than it allows. */
const MORE_CALLS = 10;

const document = corpus<Table>("istio/traffic.json");
const cases = document.read()?.traffic ?? [];

const documentsIn = (yaml: string, name: string): readonly SourceDocument[] => {
  const { documents, problems } = readDocuments(yaml, name, NAMESPACE);
  expect(problems).toEqual([]);
  return documents;
};

const serviceDocument = (name: string): string => `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [${Object.entries(ports)
    .map(([portName, port]) => `{ name: ${portName}, port: ${port} }`)
    .join(", ")}]
`;

describe.skipIf(document.missing)(`Istio's traffic table${document.note}`, () => {
  let fixture: MeshFixture;
  let mesh: Mesh;

  const policiesOf = (yaml: string, name: string): readonly Policy[] => {
    const services = ["a", ...backends].flatMap((each) => documentsIn(serviceDocument(each), "services.yaml"));
    const { policies, findings } = translate([...services, ...documentsIn(yaml, name)]);
    expect(findings.filter(({ level }) => level === "refused")).toEqual([]);
    return policies;
  };

  beforeAll(async () => {
    fixture = await startMesh(policiesOf("", "none.yaml"));
    await Promise.all(
      backends.map(async (service) => {
        const backend = await fixture.join({
          service,
          namespace: NAMESPACE,
          token: await fixture.token(service, NAMESPACE),
        });
        await backend.listen(echoBackend(service, NAMESPACE), {
          port: 0,
          host: "127.0.0.1",
          advertise: "127.0.0.1",
          signals: false,
        });
      }),
    );
    mesh = await fixture.join({ service: "a", namespace: NAMESPACE, token: await fixture.token("a", NAMESPACE) });
  }, 60_000);

  afterAll(() => fixture?.[Symbol.asyncDispose](), 60_000);

  const send = ({ request }: Call): Promise<Response> => {
    const { port, to = "b", path, method, headers, followRedirects } = request;
    return mesh.fetch(`http://${to}:${ports[port]}${path}`, {
      method,
      ...(headers === undefined ? {} : { headers }),
      redirect: followRedirects === true ? "follow" : "manual",
      mesh: { localReplies: "response" },
    });
  };

  describe.each(cases)("$name", ({ name, yaml, calls }) => {
    beforeAll(async () => {
      const { status, body } = await fixture.admin.call<{ revision: string }>("POST", "/v1/apply", {
        policies: policiesOf(yaml, `${name}.yaml`),
        prune: true,
      });
      expect({ status, body }).toMatchObject({ status: 200 });
      await fixture.admin.acknowledged(body.revision);
    });

    const single = calls.filter((call) => call.expect.split === undefined);
    if (single.length > 0) {
      test.each(single)("call %#: $name", async (call) => {
        const { status, headers = {}, upstream } = call.expect;
        const response = await send(call);
        const text = await response.text();
        expect(status, text).toContain(response.status);
        // In the table an empty value is a header that is not there.
        for (const [header, value] of Object.entries(headers)) {
          const found = (response.headers.get(header) ?? "").replaceAll(", ", ",");
          // The Host of a fetch is its URL's, in which the port of the scheme cannot be written.
          if (header === "Location") expect(new URL(found).href).toBe(new URL(value).href);
          else expect(found).toBe(value);
        }
        if (response.status !== 200 || call.request.method === "OPTIONS") return;
        const echo = JSON.parse(text) as Echo;
        expect(echo.backend).toBe("b");
        if (upstream?.host !== undefined) expect(echo.host).toBe(upstream.host);
        expect(echo.path).toBe(upstream?.path ?? call.request.path.replace(/#.*/, ""));
        for (const [header, value] of Object.entries(upstream?.headers ?? {})) {
          expect(echo.headers[header.toLowerCase()]).toBe(value);
        }
      });
    }

    const named = single.filter((call) => call.request.host !== undefined);
    if (named.length > 0) {
      test.each(named)("call %# under a Host of its own: $name", async ({ request, expect: expected }) => {
        const { port, to = "b", path, host = "", headers } = request;
        const response = await mesh.request(`http://${to}:${ports[port]}${path}`, {
          headers: { ...headers, host },
          mesh: { localReplies: "response" },
        });
        await response.body.dump();
        expect(expected.status).toContain(response.statusCode);
        for (const [header, value] of Object.entries(expected.headers ?? {})) {
          expect(response.headers[header.toLowerCase()]).toBe(value);
        }
      });
    }

    const spread = calls.filter((call) => call.expect.split !== undefined);
    if (spread.length > 0) {
      test.each(spread)("call %# is spread as the weights say: $name", async (call) => {
        const { split = {}, within = 0, status } = call.expect;
        const counts = new Map<string, number>();
        // The table's own 100 calls stray farther than it allows once in twenty runs.
        const total = MORE_CALLS * (call.request.count ?? 1);
        for (let sent = 0; sent < total; sent++) {
          const response = await send(call);
          expect(status).toContain(response.status);
          const { backend } = (await response.json()) as Echo;
          counts.set(backend, (counts.get(backend) ?? 0) + 1);
        }
        for (const [backend, share] of Object.entries(split)) {
          const percent = (100 * (counts.get(backend) ?? 0)) / total;
          expect(Math.abs(percent - share)).toBeLessThanOrEqual(within);
        }
      });
    }
  });
});
