import { X509Certificate } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "@tulle/testing";
import { describe, expect, test, vi } from "vitest";
import { pinOf } from "../src/config-server-peer.ts";
import { FakeConfigServer } from "./fake-config-server.ts";
import { mesh, service, useMembers } from "./member-fixture.ts";

const members = useMembers();

/** A token of another issuer: it does not know the mesh. */
const unpinned = (): string => {
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  return `${encoded({ alg: "RS256" })}.${encoded({ iss: "https://issuer.example", sub: "productpage" })}.c2ln`;
};

const fileOf = async (text: string): Promise<string> => {
  const file = join(await mkdtemp(join(tmpdir(), "tulle-")), "file.pem");
  await writeFile(file, text);
  return file;
};

describe("joining", () => {
  test("ends with policy, trust and a certificate for a key that was made here", async () => {
    const agent = await members.joined();
    expect(agent.state.current).toEqual({
      state: "joined",
      server: members.server.url,
      spiffeId: "spiffe://cluster.local/ns/default/sa/productpage",
    });
    expect(agent.outbound.current).toMatchObject({ revision: "e.1", mesh });
    expect(agent.outbound.current.names.lookup("reviews")).toBe("default/reviews");
    expect(agent.outbound.current.services.get("default/reviews")?.endpoints).toHaveLength(2);
    expect(agent.inbound.current).toMatchObject({ revision: "e.1", service: service("productpage") });
    expect(agent.credentials.current).toMatchObject({
      generation: 1,
      spiffeId: "spiffe://cluster.local/ns/default/sa/productpage",
      bundles: [members.authority.bundle],
    });
    expect(members.server.member.authorization).toBe(`Bearer ${members.server.token()}`);
    expect(members.server.member.shown).toBeUndefined();
    expect(members.server.member.hello).toEqual({
      type: "hello",
      protocol: { min: 1, max: 1 },
      features: ["gzip"],
      software: "tulle/0.1.0",
      member: { id: "productpage-0", namespace: "default", service: "productpage", labels: { version: "v1" } },
      held: {
        policy: { revision: null, seen: null, resources: {} },
        endpoints: { revision: null, seen: null, resources: {} },
        trust: { revision: null, seen: null, resources: {} },
      },
      subscriptions: [],
    });
    await expect
      .poll(() => members.server.member.of("ack").map(({ stream }) => stream))
      .toEqual(["trust", "endpoints", "policy"]);
  });

  test("nothing is registered by the token: what listens early is told after the certificate", async () => {
    const { server } = members;
    server.script.onHello = (from) => {
      from.say(server.welcome());
      members.sayAll(from);
    };
    server.script.onRequest = (from, { type, id }) => {
      if (type === "register") from.say({ type: "done", id });
    };
    const agent = members.member();
    agent.start();
    await expect.poll(() => server.members[0]?.of("certificate-request").length).toBe(1);
    await agent.register({ id: "early", address: "127.0.0.1", port: 9080, transport: "mtls", labels: {} });
    expect(agent.state.current).toMatchObject({ state: "unready", missing: ["certificate"] });
    const [request] = server.member.of("certificate-request");
    server.member.say({ type: "certificate", id: request!.id, chain: await server.certify(request!.csr) });
    await expect.poll(() => server.member.of("register").map(({ endpoint }) => endpoint.id)).toEqual(["early"]);
    expect(server.member.received.map(({ type }) => type)).toEqual([
      "hello",
      "certificate-request",
      "ack",
      "ack",
      "ack",
      "register",
    ]);
    await expect.poll(() => agent.state.current.state).toBe("joined");
  });

  test("a root that the token does not pin gets no token, and the refusal names both pins", async () => {
    const other = await createTestAuthority();
    const pin = pinOf(new X509Certificate(other.root));
    const agent = members.member({ token: members.server.token(pin) });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow(
      `JOIN_REFUSED: ${members.server.url} shows a root whose pin is ${pinOf(new X509Certificate(members.authority.root))}, the token's pin is ${pin}`,
    );
    expect(members.server.upgrades).toEqual([]);
  });

  test("a server that shows the pinned root but no certificate of it gets no token", async () => {
    const other = await createTestAuthority();
    const impostor = await FakeConfigServer.start({ ...other, root: `${other.root}\n${members.authority.root}` });
    const agent = members.member({ server: impostor.url, token: members.server.token() });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("JOIN_REFUSED");
    expect(impostor.upgrades).toEqual([]);
    await impostor.stop();
  });

  test("a member of the mesh that poses as its config-server gets no token", async () => {
    const impostor = await FakeConfigServer.start(members.authority, 0, "spiffe://cluster.local/ns/default/sa/reviews");
    const agent = members.member({ server: impostor.url });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow(
      "its certificate says [spiffe://cluster.local/ns/default/sa/reviews], not spiffe://cluster.local/ns/tulle-system/sa/config-server",
    );
    expect(impostor.upgrades).toEqual([]);
    await impostor.stop();
  });

  test.each([
    [
      "in the upgrade's answer",
      () => {
        members.server.script.upgradeRefusal = {
          status: 401,
          body: '{"code":"token-used","message":"token t1 was used"}',
        };
      },
      "answered 401: token t1 was used",
    ],
    [
      "in the upgrade's answer without a code",
      () => {
        members.server.script.upgradeRefusal = { status: 403, body: "go away" };
      },
      "answered 403",
    ],
    [
      "after the hello",
      () => {
        members.server.script.onHello = (from) => {
          from.say({ type: "refused", code: "identity-mismatch", message: "you are not productpage" });
          from.socket.close(1008);
        };
      },
      "the config-server refused: identity-mismatch: you are not productpage",
    ],
  ])("a lasting refusal %s fails ready at once with the server's reason", async (_where, arrange, reason) => {
    arrange();
    const agent = members.member();
    agent.start();
    await expect(agent.ready(60_000)).rejects.toThrow(reason);
    await expect(agent.ready(60_000)).rejects.toMatchObject({ code: "JOIN_REFUSED" });
  });

  test("a token without a pin is shown to nobody unless the CA is given", async () => {
    const token = unpinned();
    const agent = members.member({ token });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("the token carries no pin of the mesh's CA");
    expect(members.server.upgrades).toEqual([]);
    const empty = await fileOf("nothing");
    for (const [caFile, why] of [
      [`${empty}.none`, "cannot be read"],
      [empty, "holds no certificate"],
    ] as const) {
      const other = members.member({ token, caFile });
      other.start();
      await expect(other.ready(5_000)).rejects.toThrow(why);
    }
    expect(members.server.upgrades).toEqual([]);
  });

  test.each([
    ["its file", async () => ({ caFile: await fileOf(members.authority.root) })],
    ["its pin", async () => ({ caPin: pinOf(new X509Certificate(members.authority.root)) })],
  ])("a token without a pin is shown to the config-server of the CA that is given by %s", async (_, given) => {
    const token = unpinned();
    await members.joined({ token, ...(await given()) });
    expect(members.server.member.authorization).toBe(`Bearer ${token}`);
  });

  test.each([
    ["its file", async (root: string) => ({ caFile: await fileOf(root) }), "certificate signature failure"],
    ["its pin", async (root: string) => ({ caPin: pinOf(new X509Certificate(root)) }), "the token's pin is"],
  ])(
    "a token without a pin is not shown to a config-server of another CA than was given by %s",
    async (_, given, why) => {
      const other = await createTestAuthority();
      const agent = members.member({ token: unpinned(), ...(await given(other.root)) });
      agent.start();
      await expect(agent.ready(5_000)).rejects.toThrow(why);
      expect(members.server.upgrades).toEqual([]);
    },
  );

  test("a token without a pin is not shown to a config-server of another trust domain than was given", async () => {
    const caFile = await fileOf(members.authority.root);
    const agent = members.member({ token: unpinned(), caFile, trustDomain: "other.example" });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("not spiffe://other.example/ns/tulle-system/sa/config-server");
    expect(members.server.upgrades).toEqual([]);
  });

  test("without a token and a certificate nothing is dialled", async () => {
    const agent = members.member({ tokenFile: undefined, token: undefined } as object);
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("neither a valid certificate nor a join token");
  });

  test("a server that is absent or silent is a timeout that says what is missing", async () => {
    members.server.script.onHello = (from) => from.say(members.server.welcome());
    const agent = members.member();
    agent.start();
    await vi.waitFor(() => expect(agent.counters().renewals).toBe(1));
    await expect(agent.ready(50)).rejects.toThrow(
      `JOIN_TIMEOUT: default/productpage did not become ready within 50 ms; ${members.server.url} has not sent: policy, trust`,
    );
    expect(agent.state.current.state).toBe("unready");
  });
});
