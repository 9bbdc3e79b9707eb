import "reflect-metadata";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { ExtendedKeyUsage, KeyUsageFlags } from "@peculiar/x509";
import type { TrustBundle } from "@tulle/policy";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  open,
  ours,
  partner,
  partnersShop,
  productpage,
  request,
  type Shown,
  say,
  startTarget,
  statusesOf,
} from "./support/attack-kit.ts";
import { type Forged, rootOf, type Says, selfSigned, shown, signedBy, uri } from "./support/forged-chain.ts";

/*
 * What a caller may show, or not show, in the handshake with a strict port of a running member, each with the code by which the
 * connection is refused. Nothing reaches the application, and no byte of HTTP comes back.
 */

const root = await rootOf({ subject: "CN=ours" });
const partnersRoot = await rootOf({ subject: "CN=partner" });
const foreignRoot = await rootOf({ subject: "CN=ours" });
const bundleOf = (trustDomain: string, ...roots: readonly Forged[]): TrustBundle => ({
  trustDomain,
  roots: roots.map(({ pem }) => pem),
});
const bundles = [bundleOf("cluster.local", root), bundleOf("partner.test", partnersRoot)];

const admin = "spiffe://cluster.local/ns/default/sa/admin";
const leaf = async (says: Says = {}, issuer: Forged = root): Promise<Shown> =>
  shown(await signedBy(issuer, { names: [uri(admin)], ...says }));

/** A leaf below CAs, each of which says something, from the top. */
const below = async (issuer: Forged, cas: readonly Says[], says: Says = {}): Promise<Shown> => {
  const chain: Forged[] = [];
  for (const [at, each] of cas.entries()) {
    chain.unshift(await signedBy(chain[0] ?? issuer, { ca: true, subject: `CN=ca ${at}`, ...each }));
  }
  return shown(await signedBy(chain[0] ?? issuer, { names: [uri(admin)], ...says }), ...chain);
};

const DAY_MS = 86_400_000;

type Row = readonly [name: string, make: () => Promise<Shown>, code: string];

const named =
  (...texts: readonly string[]): (() => Promise<Shown>) =>
  () =>
    leaf({ names: texts.map(uri) });

const names: readonly Row[] = [
  ["two URIs", named(admin, "spiffe://cluster.local/ns/default/sa/reviews"), "PEER_UNTRUSTED"],
  ["the same URI twice", named(admin, admin), "PEER_UNTRUSTED"],
  ["a SPIFFE ID beside another URI", named("https://reviews.example/", admin), "PEER_UNTRUSTED"],
  [
    "a comma, behind which another name stands",
    named(`${admin}, URI:spiffe://cluster.local/ns/default/sa/x`),
    "PEER_UNTRUSTED",
  ],
  ["a NUL, behind which another name stands", named(`${admin}\0.evil.example`), "PEER_UNTRUSTED"],
  ["a line break", named(`${admin}\nURI:x`), "PEER_UNTRUSTED"],
  ["a wildcard", named("spiffe://cluster.local/ns/default/sa/*"), "PEER_UNTRUSTED"],
  ["a trust domain in upper case", named("spiffe://CLUSTER.LOCAL/ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["a scheme in upper case", named("SPIFFE://cluster.local/ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["a port", named("spiffe://cluster.local:443/ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["a user", named("spiffe://root@cluster.local/ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["a query", named(`${admin}?x`), "PEER_UNTRUSTED"],
  ["a fragment", named(`${admin}#x`), "PEER_UNTRUSTED"],
  ["an escaped letter", named("spiffe://cluster.local/ns/default/sa/%61dmin"), "PEER_UNTRUSTED"],
  ["dot segments", named("spiffe://cluster.local/ns/other/../default/sa/admin"), "PEER_UNTRUSTED"],
  ["a slash at its end", named(`${admin}/`), "PEER_UNTRUSTED"],
  ["no trust domain", named("spiffe:///ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["no path, as a CA's name", named("spiffe://cluster.local"), "PEER_UNTRUSTED"],
  ["2,049 bytes", named(`spiffe://cluster.local/${"a".repeat(2_026)}`), "PEER_UNTRUSTED"],
  ["the URI of a host", named("https://cluster.local/ns/default/sa/admin"), "PEER_UNTRUSTED"],
  ["no names", () => leaf({ names: [] }), "PEER_UNTRUSTED"],
  ["names of hosts only", () => leaf({ names: [{ kind: "dns", text: "reviews.default" }] }), "PEER_UNTRUSTED"],
  [
    "a host that pretends to be a URI",
    () => leaf({ names: [{ kind: "dns", text: `x, URI:${admin}` }] }),
    "PEER_UNTRUSTED",
  ],
  [
    "an address that pretends to be a URI",
    () => leaf({ names: [{ kind: "email", text: `URI:${admin}` }] }),
    "PEER_UNTRUSTED",
  ],
  ["the SPIFFE ID in the subject", () => leaf({ names: [], subject: `CN=${admin}` }), "PEER_UNTRUSTED"],
];

const uses: readonly Row[] = [
  ["that may only sign certificates", () => leaf({ usage: KeyUsageFlags.keyCertSign }), "PEER_UNTRUSTED"],
  ["that may only encipher data", () => leaf({ usage: KeyUsageFlags.dataEncipherment }), "PEER_UNTRUSTED"],
  [
    "that may sign certificates too",
    () => leaf({ usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign }),
    "PEER_UNTRUSTED",
  ],
  [
    "that may sign revocation lists too",
    () => leaf({ usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign }),
    "PEER_UNTRUSTED",
  ],
  ["for servers only", () => leaf({ extendedUsage: [ExtendedKeyUsage.serverAuth] }), "PEER_UNTRUSTED"],
  ["for signing code", () => leaf({ extendedUsage: [ExtendedKeyUsage.codeSigning] }), "PEER_UNTRUSTED"],
  ["of a CA, shown as a leaf", () => leaf({ ca: true, usage: KeyUsageFlags.digitalSignature }), "PEER_UNTRUSTED"],
  [
    "of a CA that may sign certificates, shown as a leaf",
    () => leaf({ ca: true, usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign }),
    "PEER_UNTRUSTED",
  ],
];

const chains: readonly Row[] = [
  ["that vouches for itself", async () => shown(await selfSigned({ names: [uri(admin)] })), "PEER_UNTRUSTED"],
  ["of a root of the same name that is not ours", () => leaf({}, foreignRoot), "PEER_UNTRUSTED"],
  [
    "of such a root, which is sent along",
    async () => shown(await signedBy(foreignRoot, { names: [uri(admin)] }), foreignRoot),
    "PEER_UNTRUSTED",
  ],
  ["below a member's certificate", () => below(root, [{ ca: false, names: [uri(admin)] }]), "PEER_UNTRUSTED"],
  [
    "below a CA that may sign no certificates",
    () => below(root, [{ usage: KeyUsageFlags.digitalSignature }]),
    "PEER_UNTRUSTED",
  ],
  ["below more CAs than one of them allows", () => below(root, [{ pathLength: 0 }, {}]), "PEER_UNTRUSTED"],
  ["below a CA that has expired", () => below(root, [{ fromMs: -2 * DAY_MS, untilMs: -DAY_MS }]), "PEER_EXPIRED"],
  ["below a CA that is not valid yet", () => below(root, [{ fromMs: DAY_MS, untilMs: 2 * DAY_MS }]), "PEER_EXPIRED"],
  ["that has expired", () => leaf({ fromMs: -DAY_MS, untilMs: -1_000 }), "PEER_EXPIRED"],
  ["that is not valid yet", () => leaf({ fromMs: DAY_MS, untilMs: 2 * DAY_MS }), "PEER_EXPIRED"],
];

const federation: readonly Row[] = [
  ["of ours, signed by the partner's root", () => leaf({}, partnersRoot), "PEER_UNTRUSTED"],
  ["of ours, signed by a CA of the partner's", () => below(partnersRoot, [{}]), "PEER_UNTRUSTED"],
  [
    "of the partner's, signed by our root",
    () => leaf({ names: [uri("spiffe://partner.test/ns/default/sa/shop")] }),
    "PEER_UNTRUSTED",
  ],
  [
    "of a third mesh, signed by the partner's root",
    () => leaf({ names: [uri("spiffe://third.test/ns/default/sa/shop")] }, partnersRoot),
    "PEER_UNTRUSTED",
  ],
  [
    "of a trust domain below ours, signed by the partner's root",
    () => leaf({ names: [uri("spiffe://a.cluster.local/ns/default/sa/admin")] }, partnersRoot),
    "PEER_UNTRUSTED",
  ],
  [
    "of ours and the partner's at once",
    () => leaf({ names: [uri("spiffe://partner.test/a"), uri(admin)] }, partnersRoot),
    "PEER_UNTRUSTED",
  ],
  [
    "of ours, signed by the partner's root, with our root sent along",
    async () => shown(await signedBy(partnersRoot, { names: [uri(admin)] }), root),
    "PEER_UNTRUSTED",
  ],
];

const tables = {
  "a certificate with": names,
  "a certificate": [...uses, ...chains],
  "a name": federation,
};

/** Where one mesh alone is trusted OpenSSL's verdict over the whole chain counts; with a partner each chain is looked at. */
const trusted = { "with a partner": bundles, "without one": bundles.slice(0, 1) };

/** Tries to be served, and says what came back. */
const knock = async (port: number, as: Shown): Promise<string> => {
  try {
    return await say(port, as, request("/a"));
  } catch (error) {
    // The member ended the connection while the handshake was on its way.
    return (error as NodeJS.ErrnoException).code === undefined ? Promise.reject(error) : "";
  }
};

describe("the way that the rows below leave:", () => {
  test.each([
    ["a good leaf", () => leaf()],
    ["a leaf that says nothing of its use", () => leaf({ usage: "none", extendedUsage: "none" })],
    ["a good leaf that names hosts too", () => leaf({ names: [uri(admin), { kind: "dns", text: "admin.default" }] })],
    ["the partner's", () => leaf({ names: [uri("spiffe://partner.test/ns/default/sa/shop")] }, partnersRoot)],
  ] as const)("%s is served", async (_, make) => {
    const target = await startTarget({ bundles });
    expect(statusesOf(await say(target.port, await make(), request("/a")))).toEqual([200]);
  });
});

const cases = Object.entries(tables).flatMap(([what, rows]) =>
  Object.entries(trusted).map(([whom, bundles]) => ({ what, rows, whom, bundles })),
);

describe.each(cases)("$whom $what", ({ rows, bundles }) => {
  test.each(rows)("%s is refused", async (_name, make, code) => {
    const target = await startTarget({ bundles });
    expect(await knock(target.port, await make())).toBe("");
    await vi.waitFor(() => expect(target.refused()).toEqual({ [code]: 1 }));
    expect(target.handled).toEqual([]);
  });
});

test("a good leaf below a good CA is served, where its chain can be told from a partner's", async () => {
  const peer = await below(root, [{ pathLength: 0 }]);
  const [, above = ""] = peer.certificateChain.split(/(?<=-----END CERTIFICATE-----\n)/);
  for (const bundles of [
    [bundleOf("cluster.local", root)],
    [{ ...bundleOf("cluster.local", root), intermediates: [above] }, bundleOf("partner.test", partnersRoot)],
  ]) {
    const target = await startTarget({ bundles });
    expect(statusesOf(await say(target.port, peer, request("/a")))).toEqual([200]);
  }
});

test("a partner that federates under a name of ours is not heard", async () => {
  // Whoever brought the first bundle of a name is who it is of.
  const target = await startTarget({
    bundles: [bundleOf("cluster.local", root), bundleOf("old.local", partnersRoot)],
    aliases: ["old.local"],
  });
  const impostor = await leaf({ names: [uri("spiffe://old.local/ns/default/sa/admin")] }, partnersRoot);
  expect(await knock(target.port, impostor)).toBe("");
  await vi.waitFor(() => expect(target.refused()).toEqual({ PEER_UNTRUSTED: 1 }));
});

describe("a handshake", () => {
  const fails = async (port: number, options: ConnectionOptions): Promise<void> => {
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      cert: productpage.certificateChain,
      key: productpage.privateKey,
      ...options,
    });
    onTestFinished(() => void socket.destroy());
    await expect(once(socket, "secureConnect")).rejects.toThrow(/alert|no protocols|version/i);
  };
  test.each<[string, ConnectionOptions]>([
    ["in TLS 1.2", { maxVersion: "TLSv1.2" }],
    ["in TLS 1.1", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["in TLS 1.0", { minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["for another protocol", { ALPNProtocols: ["acme-tls/1"] }],
    ["for HTTP/2, where the service does not speak it", { ALPNProtocols: ["h2"] }],
  ])("%s fails, whatever the certificate", async (_, options) => {
    const target = await startTarget();
    await fails(target.port, options);
    await vi.waitFor(() => expect(target.mesh.status.counters.server.failedHandshakes).toBe(1));
  });

  test("without a certificate ends with the connection", async () => {
    const target = await startTarget();
    expect(await say(target.port, "nobody", request("/a")).catch(() => "")).toBe("");
    expect(target.refused()).toEqual({ PEER_ABSENT: 1 });
  });

  test("with somebody's certificate and not the key fails", async () => {
    const target = await startTarget();
    expect(() =>
      connectTls({ port: target.port, cert: productpage.certificateChain, key: partnersShop.privateKey }),
    ).toThrow(/key values mismatch/);
  });

  test("that would resume a session does not: the certificate is asked for again", async () => {
    const target = await startTarget();
    const first = await open(target.port, productpage);
    // Whatever there is to resume would have come before the first answer.
    const session = first.socket as ReturnType<typeof connectTls>;
    session.write(request("/a"));
    await first.closed;
    const second = await open(target.port, "nobody", { session: session.getSession() }).catch(() => undefined);
    if (second !== undefined) {
      expect((second.socket as ReturnType<typeof connectTls>).isSessionReused()).toBe(false);
      second.socket.write(request("/a"));
      await second.closed;
    }
    expect(target.refused()).toEqual({ PEER_ABSENT: 1 });
    expect(target.handled).toHaveLength(1);
  });
});

describe("plaintext to a strict port", () => {
  test.each([
    ["a request", request("/a")],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a PROXY line that says who called", `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${request("/a")}`],
    ["SSL 2's first bytes", "\x80\x2e\x01\x00\x02"],
  ])("%s is answered by the connection's end", async (_, bytes) => {
    const target = await startTarget();
    expect(await say(target.port, "plaintext", bytes)).toBe("");
    expect(target.refused()).toEqual({ PLAINTEXT_REFUSED: 1 });
  });
});

describe("a permissive port", () => {
  test("ends a connection that says nothing, and one that never finishes its first line of HTTP/2", async () => {
    const target = await startTarget({ mtls: "permissive", listen: { sniff: { deadlineMs: 50 } } });
    for (const first of ["", "PRI * HTTP"]) {
      const { socket, closed } = await open(target.port, "plaintext");
      socket.write(first);
      await closed;
    }
    expect(target.mesh.status.counters.server.silentConnections).toBe(2);
  });

  test("takes no more silent connections than it is told", async () => {
    const target = await startTarget({ mtls: "permissive", listen: { sniff: { most: 3 } } });
    const waiting = Array.from({ length: 3 }, () => connectTcp(target.port, "127.0.0.1"));
    onTestFinished(() => {
      for (const socket of waiting) socket.destroy();
    });
    await Promise.all(waiting.map((socket) => once(socket, "connect")));
    const { closed } = await open(target.port, "plaintext");
    await closed;
    expect(target.mesh.status.counters.server.silentConnections).toBe(1);
  });

  test("serves a caller without a certificate as a stranger, and refuses one with a bad certificate", async () => {
    const target = await startTarget({ mtls: "permissive", bundles });
    expect(statusesOf(await say(target.port, "nobody", request("/a")))).toEqual([200]);
    expect(await knock(target.port, await leaf({}, partnersRoot))).toBe("");
    expect(target.refused()).toEqual({ PEER_UNTRUSTED: 1 });
  });
});

test("a connection that a caller keeps open does not outlive its certificate", async () => {
  const target = await startTarget();
  const { socket, heard, closed } = await open(
    target.port,
    await ours.issue({ serviceAccount: "brief", lifetimeMs: 2_000 }),
  );
  socket.write("GET /a HTTP/1.1\r\nhost: reviews\r\n\r\n");
  await closed;
  expect(statusesOf(heard().toString())).toEqual([200]);
  expect(target.mesh.status.counters.server.retiredConnections).toBe(1);
});

test("the partner's certificate opens the door, and makes nobody one of ours", async () => {
  const target = await startTarget({
    policies: [
      {
        kind: "Access",
        name: "own",
        selector: { service: "reviews" },
        rules: [{ from: [{ trustDomains: ["cluster.local"] }, { principals: ["cluster.local/*"] }] }],
      },
    ],
    bundles: [ours.bundle, partner.bundle],
  });
  expect(statusesOf(await say(target.port, productpage, request("/a")))).toEqual([200]);
  expect(statusesOf(await say(target.port, partnersShop, request("/a")))).toEqual([403]);
});
