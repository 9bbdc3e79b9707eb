import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readDocuments, translate } from "@tulle/translate";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

/** An HTTP server on loopback that answers with its name and the host it was asked by. */
const outside = async (name: string): Promise<AsyncDisposable & { readonly port: number }> => {
  const server = createServer((request, response) => response.end(`${name} ${request.headers.host}${request.url}`));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

test("a ServiceEntry's host is called on each of its ports under REGISTRY_ONLY, and a VirtualService leads from one to another", async () => {
  await using one = await outside("one");
  await using two = await outside("two");
  const yaml = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: legacy }
spec:
  hosts: [legacy.example]
  resolution: STATIC
  ports:
    - { number: 80, name: http, protocol: HTTP }
    - { number: 8080, name: http-admin, protocol: HTTP }
  endpoints: [{ address: 127.0.0.1, ports: { http: ${one.port}, http-admin: ${two.port} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: legacy }
spec:
  hosts: [legacy.example]
  http:
    - match: [{ port: 80, uri: { prefix: /admin } }]
      rewrite: { uri: /root }
      route: [{ destination: { host: legacy.example, port: { number: 8080 } } }]
    - match: [{ port: 80 }]
      route: [{ destination: { host: legacy.example, port: { number: 80 } } }]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default, namespace: istio-system }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`;
  const { policies, findings } = translate(readDocuments(yaml, "legacy.yaml", "default").documents);
  expect(findings).toEqual([]);
  await using fixture = await startMesh([{ kind: "Service", name: "shop" }, ...policies]);
  await using mesh = await fixture.join({ service: "shop" });
  const said = async (url: string): Promise<string> => (await mesh.fetch(url)).text();
  expect(await said("http://legacy.example/a")).toBe("one legacy.example/a");
  expect(await said("http://legacy.example:8080/a")).toBe("two legacy.example:8080/a");
  expect(await said("http://legacy.example/admin/b")).toBe("two legacy.example/root/b");
  await expect(mesh.fetch("http://other.example")).rejects.toMatchObject({ code: "OUTSIDE_REFUSED" });
});
