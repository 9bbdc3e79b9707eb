import type { IncomingHttpHeaders } from "node:http";
import type { Policy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { createMesh } from "../src/create-mesh.ts";
import { istioSecurity } from "./support/istio-security.ts";
import { startKeyServer } from "./support/key-server.ts";

// Istio's own tests of RequestAuthentication, each request sent over mTLS to a running member.

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

const members = async (policies: readonly Policy[]) => {
  const authority = await createTestAuthority();
  const all: readonly Policy[] = [{ kind: "Service", name: "b", namespace: "ns1" }, ...policies];
  const b = createMesh({
    policies: all,
    endpoints: {},
    service: "b",
    namespace: "ns1",
    labels: { app: "b" },
    credentials: await authority.issue({ serviceAccount: "b", namespace: "ns1" }),
  });
  const listener = await b.listen(
    (request, response) => {
      response.setHeader("content-type", "application/json").end(JSON.stringify(request.headers));
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  const a = createMesh({
    policies: [{ kind: "Service", name: "b", namespace: "ns1" }],
    endpoints: { "b.ns1": [`127.0.0.1:${listener.port}`] },
    service: "a",
    namespace: "ns1",
    credentials: await authority.issue({ serviceAccount: "a", namespace: "ns1" }),
  });
  return {
    a,
    [Symbol.asyncDispose]: async () => {
      await a.leave();
      await b.leave();
    },
  };
};

describe.skipIf(document.missing)(`RequestAuthentication of Istio over mTLS${document.note}`, () => {
  const { jwks, jwt } = document.read() ?? { jwks: undefined, jwt: [] };

  describe.each(jwt)("$test", ({ yaml, cases }) => {
    test.each(cases)("$name", async ({ path, method = "GET", headers = {}, expect: expected }) => {
      await using keys = await startKeyServer(jwks);
      await using mesh = await members(istioSecurity(yaml, { namespace: "ns1", jwksUri: keys.uri }));
      const answer = await mesh.a.request(`http://b.ns1${path}`, { method, headers });
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
