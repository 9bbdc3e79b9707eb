import type { IncomingHttpHeaders } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { type IstioWorkload, startIstioWorkload } from "./support/istio-workload.ts";
import { type KeyServer, startKeyServer } from "./support/key-server.ts";

// Istio's own tests of RequestAuthentication: its documents, translated and applied, and each request sent over mTLS.

type Headers = Readonly<Record<string, string>>;

interface JwtCase {
  readonly name: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Headers;
  readonly expect: {
    readonly status?: readonly number[];
    readonly notStatus?: readonly number[];
    readonly upstream?: { readonly headers?: Headers };
  };
}

interface Traffic {
  readonly jwks: unknown;
  readonly jwt: readonly { readonly test: string; readonly yaml: string; readonly cases: readonly JwtCase[] }[];
}

const document = corpus<Traffic>("istio/traffic.json");

describe.skipIf(document.missing)(`RequestAuthentication of Istio over mTLS${document.note}`, () => {
  const { jwks, jwt } = document.read() ?? { jwks: undefined, jwt: [] };
  let keys: KeyServer;
  let workload: IstioWorkload;

  beforeAll(async () => {
    keys = await startKeyServer(jwks);
    workload = await startIstioWorkload((request, response) => {
      response.setHeader("content-type", "application/json").end(JSON.stringify(request.headers));
    }, keys.uri);
  });

  afterAll(async () => {
    await workload[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
  });

  describe.each(jwt)("$test", ({ yaml, cases }) => {
    beforeAll(() => workload.apply([{ namespace: "ns1", yaml }]));

    test.each(cases)("$name", async ({ path, method = "GET", headers = {}, expect: expected }) => {
      const caller = workload.callers.get("ns1/a");
      const answer = await caller!.request(`http://b.ns1${path}`, { method, headers });
      if (expected.status !== undefined) expect(expected.status).toContain(answer.statusCode);
      expect(expected.notStatus ?? []).not.toContain(answer.statusCode);
      const text = await answer.body.text();
      if (expected.upstream?.headers === undefined) return;
      // The handler echoes exactly what Node gives it.
      const seen = JSON.parse(text) as IncomingHttpHeaders;
      for (const [name, value] of Object.entries(expected.upstream.headers)) {
        // Istio writes an absent header as an empty one.
        expect(seen[name.toLowerCase()] ?? "", name).toBe(value);
      }
    });
  });
});
