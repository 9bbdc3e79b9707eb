import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { type IstioDocuments, type IstioWorkload, startIstioWorkload } from "./support/istio-workload.ts";
import { type KeyServer, startKeyServer } from "./support/key-server.ts";

// Istio's own tests of AuthorizationPolicy: its documents, translated and applied, and each request over HTTP sent over mTLS.

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

describe.skipIf(document.missing)(`AuthorizationPolicy of Istio over mTLS${document.note}`, () => {
  const { jwks, authz } = document.read() ?? { jwks: undefined, authz: [] };
  let keys: KeyServer;
  let workload: IstioWorkload;

  beforeAll(async () => {
    keys = await startKeyServer(jwks);
    workload = await startIstioWorkload((_request, response) => response.end("served"), keys.uri);
  });

  afterAll(async () => {
    await workload[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
  });

  describe.each(authz)("$test", ({ clients, resources, cases }) => {
    beforeAll(() => workload.apply(resources));

    const overHttp = cases.filter(({ ports }) => ports.includes("http"));
    const calls = overHttp.flatMap((each) => clients.map((client) => ({ method: "GET", note: "", ...each, client })));

    test.each(calls)("$id $note $method $path from $client", async (call) => {
      const { client, path, host = "b.ns1", method, headers = {}, allow } = call;
      const caller = workload.callers.get(client);
      if (caller === undefined) throw new Error(`${client} is no caller of this test`);
      const answer = await caller.request(`http://${host}${path}`, { method, headers });
      await answer.body.dump();
      const may =
        allow === "only the allowed client"
          ? client === ALLOWED
          : allow === "all but the denied client"
            ? client !== DENIED
            : allow;
      expect(answer.statusCode).toBe(may ? 200 : 403);
    });
  });
});
