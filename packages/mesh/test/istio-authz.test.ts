import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { type IstioDocuments, type IstioWorkload, startIstioWorkload } from "./support/istio-workload.ts";
import { type KeyServer, startKeyServer } from "./support/key-server.ts";

// Istio's own tests of AuthorizationPolicy: its documents, translated and applied, and each request over HTTP, HTTP/2 and gRPC sent over mTLS.

interface Traffic {
  readonly jwks: unknown;
  readonly authz: readonly {
    readonly test: string;
    readonly clients: readonly string[];
    readonly resources: readonly IstioDocuments[];
    readonly cases: readonly {
      readonly id: string;
      readonly ports: readonly string[];
      readonly path: string;
      readonly method?: string;
      readonly host?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly allow: boolean | "only the allowed client" | "all but the denied client";
      readonly note?: string;
    }[];
  }[];
}

const document = corpus<Traffic>("istio/traffic.json");

const ALLOWED = "ns1/a";
const DENIED = "ns2/a";

const protocols = ["http", "http2", "grpc"] as const;

/** What a call is in the gRPC of Istio's tests, whose tables name no path for it. */
const echoCall = { method: "POST", path: "/proto.EchoTestService/Echo" };

/** What a call is told that access refuses: gRPC has statuses of its own, and this one means "permission denied". */
const refused = { http: [403, undefined], http2: [403, undefined], grpc: [200, "7"] } as const;

describe.skipIf(document.missing).each(protocols)(
  `AuthorizationPolicy of Istio over mTLS, %s${document.note}`,
  (protocol) => {
    const { jwks, authz } = document.read() ?? { jwks: undefined, authz: [] };
    let keys: KeyServer;
    let workload: IstioWorkload;

    beforeAll(async () => {
      keys = await startKeyServer(jwks);
      workload = await startIstioWorkload(
        (request, response) => response.end(`served over ${request.httpVersion}`),
        keys.uri,
        protocol,
      );
    });

    afterAll(async () => {
      await workload[Symbol.asyncDispose]();
      await keys[Symbol.asyncDispose]();
    });

    const tests = authz.filter(({ cases }) => cases.some(({ ports }) => ports.includes(protocol)));

    describe.each(tests)("$test", ({ clients, resources, cases }) => {
      beforeAll(() => workload.apply(resources));

      const ofProtocol = cases.filter(({ ports }) => ports.includes(protocol));
      const calls = ofProtocol.flatMap((each) =>
        clients.map((client) => ({ method: "GET", note: "", ...each, client })),
      );

      test.each(calls)("$id $note $method $path from $client", async (call) => {
        const { client, host = "b.ns1", headers = {}, allow } = call;
        const caller = workload.callers.get(client);
        if (caller === undefined) throw new Error(`${client} is no caller of this test`);
        const { method, path } = protocol === "grpc" ? echoCall : call;
        const answer = await caller.request(`http://${host}${path}`, {
          method,
          headers: protocol === "grpc" ? { ...headers, "content-type": "application/grpc" } : headers,
        });
        const body = await answer.body.text();
        const may =
          allow === "only the allowed client"
            ? client === ALLOWED
            : allow === "all but the denied client"
              ? client !== DENIED
              : allow;
        const status = [answer.statusCode, answer.headers["grpc-status"]];
        expect(status).toEqual(may ? [200, undefined] : refused[protocol]);
        if (may) expect(body).toBe(`served over ${protocol === "http" ? "1.1" : "2.0"}`);
      });
    });
  },
);
