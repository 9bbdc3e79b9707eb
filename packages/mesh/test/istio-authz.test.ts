import { once } from "node:events";
import { createServer } from "node:net";
import { createTestAuthority } from "@tulle/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { createMesh } from "../src/create-mesh.ts";
import type { Mesh } from "../src/mesh.ts";
import { istioSecurity } from "./support/istio-security.ts";
import { type KeyServer, startKeyServer } from "./support/key-server.ts";

// Istio's own tests of AuthorizationPolicy, each request over HTTP sent over mTLS to a running member.

interface Traffic {
  readonly jwks: unknown;
  readonly authz: readonly {
    readonly test: string;
    readonly clients: readonly string[];
    readonly resources: readonly { readonly namespace: string; readonly yaml: string }[];
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

/** The hosts of the workload that its tests call it by. */
const service = { kind: "Service", name: "b", namespace: "ns1", hosts: ["allow.b.com", "deny.b.com"] } as const;

/** What Istio's tests take for granted. */
const istio = { kind: "Mesh", name: "mesh", rootNamespace: "istio-system", pathNormalization: "base" } as const;

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
};

describe.skipIf(document.missing)(`AuthorizationPolicy of Istio over mTLS${document.note}`, () => {
  const { jwks, authz } = document.read() ?? { jwks: undefined, authz: [] };

  describe.each(authz)("$test", ({ clients, resources, cases }) => {
    let keys: KeyServer;
    const meshes: Mesh[] = [];
    const callers = new Map<string, Mesh>();

    beforeAll(async () => {
      keys = await startKeyServer(jwks);
      const authority = await createTestAuthority();
      const port = await freePort();
      const policies = resources.flatMap(({ namespace, yaml }) =>
        istioSecurity(yaml, {
          namespace,
          jwksUri: keys.uri,
          // The workload's port for HTTP in Istio's tests.
          port: (written) => (written === 18_080 ? port : written),
        }),
      );
      const b = createMesh({
        policies: [istio, service, ...policies],
        endpoints: {},
        service: "b",
        namespace: "ns1",
        labels: { app: "b" },
        credentials: await authority.issue({ serviceAccount: "b", namespace: "ns1" }),
      });
      meshes.push(b);
      await b.listen((_request, response) => response.end("served"), { port, host: "127.0.0.1", signals: false });
      for (const client of clients) {
        const [namespace = "", name = ""] = client.split("/");
        const caller = createMesh({
          policies: [service],
          endpoints: { "b.ns1": [`127.0.0.1:${port}`] },
          service: name,
          namespace,
          credentials: await authority.issue({ serviceAccount: name, namespace }),
        });
        callers.set(client, caller);
        meshes.unshift(caller);
      }
    });

    afterAll(async () => {
      for (const mesh of meshes) await mesh.leave();
      await keys[Symbol.asyncDispose]();
    });

    const overHttp = cases.filter(({ ports }) => ports.includes("http"));
    const calls = overHttp.flatMap((each) => clients.map((client) => ({ method: "GET", note: "", ...each, client })));

    test.each(calls)("$id $note $method $path from $client", async (call) => {
      const { client, path, host = "b.ns1", method, headers = {}, allow } = call;
      const caller = callers.get(client);
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
