import { createTestAuthority } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { createMesh } from "../src/create-mesh.ts";
import { freePort, istioPolicies } from "./support/istio-workload.ts";

// Istio's own tests of PeerAuthentication: its documents, translated, and peers that come over mTLS and in plaintext.

interface PeerAuthCase {
  readonly name: string;
  readonly yaml: string;
  readonly calls: readonly {
    readonly port: number;
    readonly peer: "mtls" | "plaintext";
    readonly accept: boolean;
    /** Says nothing about a server that ends TLS itself. */
    readonly unclear?: true;
  }[];
}

const document = corpus<{ readonly peerAuth: readonly PeerAuthCase[] }>("istio/traffic.json");
const service = { kind: "Service", name: "b", namespace: "ns1" } as const;

describe.skipIf(document.missing)(`PeerAuthentication of Istio over the wire${document.note}`, () => {
  const cases = document.read()?.peerAuth ?? [];

  test.each(cases)("$name", async ({ yaml, calls }) => {
    // The documents' ports may be taken on this machine: each has a free one in its place.
    const ports = new Map<number, number>();
    for (const { port } of calls) if (!ports.has(port)) ports.set(port, await freePort());
    const here = yaml.replaceAll(
      /^(\s+)(\d+):$/gm,
      (_line, indent: string, port: string) => `${indent}${ports.get(Number(port)) ?? port}:`,
    );
    await using workload = await startWorkload(here, [...ports.values()]);
    for (const { port, peer, accept } of calls.filter(({ unclear }) => unclear !== true)) {
      const accepted = await workload.accepts(ports.get(port) ?? 0, peer);
      expect([port, peer, accepted]).toEqual([port, peer, accept]);
    }
  });

  test("a port that is strict by itself refuses plaintext, and the others do as the workload does", async () => {
    const [strict, other] = [await freePort(), await freePort()];
    const yaml = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { selector: { matchLabels: { app: b } }, mtls: { mode: DISABLE }, portLevelMtls: { ${strict}: { mode: STRICT } } }`;
    await using workload = await startWorkload(yaml, [strict, other]);
    expect(await workload.accepts(strict, "plaintext")).toBe(false);
    expect(await workload.accepts(strict, "mtls")).toBe(true);
    expect(await workload.accepts(other, "plaintext")).toBe(true);
  });
});

/** The workload `b` of Istio's tests with documents, on some ports. */
const startWorkload = async (yaml: string, ports: readonly number[]) => {
  const authority = await createTestAuthority();
  const credentialsOf = (serviceAccount: string) => authority.issue({ serviceAccount, namespace: "ns1" });
  const b = createMesh({
    policies: [service, ...istioPolicies([{ namespace: "ns1", yaml }])],
    endpoints: {},
    service: "b",
    namespace: "ns1",
    labels: { app: "b" },
    credentials: await credentialsOf("b"),
  });
  for (const port of ports) {
    await b.listen((_request, response) => response.end("served"), { port, host: "127.0.0.1", signals: false });
  }
  const credentials = await credentialsOf("a");
  return {
    accepts: async (port: number, peer: "mtls" | "plaintext"): Promise<boolean> => {
      const answered = ({ status }: Response): boolean => status === 200;
      if (peer === "plaintext") return fetch(`http://127.0.0.1:${port}/`).then(answered, () => false);
      await using a = createMesh({
        policies: [service],
        endpoints: { "b.ns1": [`127.0.0.1:${port}`] },
        service: "a",
        namespace: "ns1",
        credentials,
      });
      return await a.fetch("http://b.ns1/").then(answered, () => false);
    },
    [Symbol.asyncDispose]: () => b.leave(),
  };
};
