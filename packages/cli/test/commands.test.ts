import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Terminal } from "@tulle/cli";
import { type ConfigServer, createConfigServer } from "@tulle/config-server";
import { MESH_PATH } from "@tulle/protocol";
import { createTestAuthority, makeCertificateRequest } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { type Captured, run as runCommand } from "./captured-terminal.ts";

const SERVICE = `kind: Service
name: reviews
subsets:
  v1: { version: v1 }
  v2: { version: v2 }
`;

const route = (subset: string, weight: number): string => `kind: Route
name: reviews
services: [reviews]
rules:
  - match:
      - headers:
          end-user: { exact: jason }
    split:
      - subset: v2
  - split:
      - subset: ${subset}
        weight: ${weight}
      - subset: v2
        weight: 20
`;

let folder: string;
let server: ConfigServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-"));
  server = await createConfigServer({ stateDir: join(folder, "state"), port: 0, adminPort: 0 });
  await mkdir(join(folder, "policies"));
});

afterEach(() => server.close());

const run = (argv: readonly string[], terminal: Partial<Terminal> = {}): Promise<Captured> =>
  runCommand(argv, { environment: { TULLE_STATE_DIR: join(folder, "state") }, ...terminal });

const write = async (name: string, text: string): Promise<string> => {
  const file = join(folder, "policies", name);
  await writeFile(file, text);
  return file;
};

const writeBookinfo = async (): Promise<string> => {
  await write("reviews.yaml", SERVICE);
  await write("split.yaml", route("v1", 80));
  return join(folder, "policies");
};

/** A member that takes or refuses every policy, as its `answer` says. */
const joinAs = async (id: string, answer: (revision: string) => object, service = "reviews"): Promise<WebSocket> => {
  const { token } = await server.createToken({ serviceAccount: service, uses: "multi" });
  const csr = await makeCertificateRequest();
  const socket = new WebSocket(`${server.url}${MESH_PATH}`, {
    ca: server.ca,
    headers: { authorization: `Bearer ${token}` },
  });
  socket.on("open", () =>
    socket.send(
      JSON.stringify({
        type: "hello",
        protocol: { min: 1, max: 1 },
        features: [],
        software: "test/1",
        member: { id, namespace: "default", service, labels: { version: "v1" } },
        held: {},
        subscriptions: ["default/reviews"],
      }),
    ),
  );
  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    if (message.type === "welcome") socket.send(JSON.stringify({ type: "certificate-request", id: 1, csr }));
    if (message.type !== "commit") return;
    const { stream, revision } = message;
    const reply = stream === "policy" ? answer(revision) : { type: "ack" };
    socket.send(JSON.stringify({ ...reply, stream, revision }));
  });
  await vi.waitFor(async () => expect((await run(["status"])).out).toContain(id));
  return socket;
};

describe("plaintext", () => {
  const docs = readFileSync(new URL("../../../docs/migration.md", import.meta.url), "utf8");

  /** What the page shows below a command. */
  const shown = (command: string): string =>
    (docs.split(`$ ${command}\n`)[1]?.split("```")[0] ?? "").replaceAll(/^ {3}/gm, "").trimEnd();

  test("names the callers without an identity, with what lives at their addresses, as the page of migration shows it", async () => {
    await server.apply([
      { kind: "Service", name: "reviews" },
      { kind: "Service", name: "productpage" },
    ]);
    const page = await joinAs("productpage-1", () => ({ type: "ack" }), "productpage");
    const endpoint = { id: "productpage-1", address: "10.0.2.4", port: 80, transport: "mtls", labels: {} };
    page.send(JSON.stringify({ type: "register", id: 2, service: "default/productpage", endpoint }));
    const reviews = await joinAs("reviews-1", () => ({ type: "ack" }));
    const caller = {
      address: "10.0.2.4",
      userAgent: "node",
      transport: "plaintext",
      requests: 1840,
      lastSeenAgoMs: 3_000,
    };
    const other = { address: "192.0.2.1", transport: "tls", requests: 1, lastSeenAgoMs: 1_800_000 };
    reviews.send(JSON.stringify({ type: "plaintext-callers", callers: [caller, other] }));
    await vi.waitFor(async () => {
      const { out } = await run(["plaintext", "reviews", "--since", "1m"]);
      expect(out).toMatch(/^default\/reviews\t10\.0\.2\.4\tdefault\/productpage\tnode\t1840\t20[^\t]+Z\n$/);
    });
    const { out } = await run(["plaintext", "reviews", "--since", "1m"], { interactive: true });
    expect(out.trimEnd().replace(/\d+s$/, "3s")).toBe(shown("tulle plaintext reviews"));
    expect((await run(["plaintext"])).out).toContain("192.0.2.1 (TLS, no certificate)\t-\t-\t1\t");
    expect((await run(["plaintext", "productpage"])).out).toBe("");

    reviews.send(JSON.stringify({ type: "plaintext-callers", callers: [] }));
    await vi.waitFor(async () => expect((await run(["plaintext"])).out).toBe(""));
    const empty = await run(["plaintext", "reviews", "--since", "10m"], { interactive: true });
    expect(empty.out.trimEnd()).toBe(shown("tulle plaintext reviews --since 10m"));
    page.close();
    reviews.close();
  });

  test.each([
    [["plaintext", "--since", "2h"], "1s to 1h"],
    [["plaintext", "Reviews"], "write namespace/service"],
  ])("%j is refused", async (argv, why) => {
    expect(await run(argv)).toMatchObject({ code: 1, error: expect.stringContaining(why) });
  });
});

describe("apply", () => {
  test("makes one revision of a folder, and tells what changed", async () => {
    const { code, out, error } = await run(["apply", await writeBookinfo()]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toMatch(/^Service\/default\/reviews\tcreated\nRoute\/default\/reviews\tcreated\nrevision\t\w+\.1\n$/);
    expect((await run(["apply", join(folder, "policies")])).out).toMatch(/^revision\t\w+\.1\n$/);
  });

  test("refuses a route to a missing subset with file, line and column, shows the line, and changes nothing", async () => {
    await run(["apply", await writeBookinfo()]);
    const before = (await run(["history"])).out;
    const file = await write("split.yaml", route("v3", 80));
    const { code, out, error } = await run(["apply", join(folder, "policies")]);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(error).toContain(`${file}:11:`);
    expect(error).toContain("rules[1].split[0].subset");
    expect(error).toContain("11 |       - subset: v3");
    expect(error).toContain("1 problem; nothing was changed");
    expect((await run(["history"])).out).toBe(before);
    const json = await run(["apply", "--json", file]);
    expect([json.code, JSON.parse(json.out)]).toMatchObject([
      1,
      { error: "invalid-policies", problems: [{ origin: { file, line: 11 }, column: expect.any(Number) }] },
    ]);
  });

  test("tells every problem of every file before anybody is asked", async () => {
    const first = await write("a.yaml", "kind: Servise\nname: x\n");
    const second = await write("b.json", '{ "kind": "Service" }');
    const { code, error } = await run(["apply", join(folder, "policies")]);
    expect(code).toBe(1);
    expect(error).toContain(`${first}:1:1`);
    expect(error).toContain(second);
    expect(error).toContain("2 problems; nothing was changed");
  });

  test("reads the standard input, dry-runs, and prunes", async () => {
    await run(["apply", await writeBookinfo()]);
    const dry = await run(["apply", "--dry-run", "--prune", "-"], { readInput: async () => SERVICE });
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining("Route/default/reviews\twould be deleted") });
    await run(["apply", "--prune", "-m", "no routes", "-"], { readInput: async () => SERVICE });
    expect((await run(["get"])).out).toMatch(/^Service\tdefault\treviews\t\S+reviews\.yaml:1\n$/);
    expect((await run(["history", "-l", "1"])).out).toContain("\tno routes\n");
  });

  test("--wait ends when every member has taken the revision", async () => {
    const member = await joinAs("reviews-1", () => ({ type: "ack" }));
    const { code, out } = await run(["apply", "--wait", await writeBookinfo()]);
    expect([code, out]).toEqual([0, expect.stringContaining("acknowledged by 1 member\n")]);
    member.terminate();
  });

  test("--wait names who refused the revision, and why; so does status", async () => {
    const member = await joinAs("reviews-1", (revision) =>
      revision.endsWith(".0") ? { type: "ack" } : { type: "nack", reason: "cannot do that" },
    );
    const { code, out, error } = await run(["apply", "--wait", await writeBookinfo()]);
    expect(code).toBe(1);
    expect(out).toContain("acknowledged by 0 members");
    expect(error).toContain("reviews-1 refused it: cannot do that");
    expect((await run(["status"])).out).toMatch(/reviews-1\tdefault\/reviews\tversion=v1\ttest\/1\t.*cannot do that\n/);
    member.terminate();
  });
});

describe("get, delete, history, rollback", () => {
  test("a policy is printed as YAML that can be applied again", async () => {
    await run(["apply", await writeBookinfo()]);
    const { out } = await run(["get", "route", "reviews"]);
    expect(out).toContain("kind: Route\nname: reviews\n");
    expect((await run(["apply", "-"], { readInput: async () => out })).out).toMatch(/^revision\t\w+\.1\n$/);
    const all = await run(["get", "--yaml"]);
    expect((await run(["apply", "-"], { readInput: async () => all.out })).out).toMatch(/^revision\t\w+\.1\n$/);
  });

  test("a delete that would leave a route without its service is refused", async () => {
    await run(["apply", await writeBookinfo()]);
    const { code, error } = await run(["delete", "service", "reviews"]);
    expect([code, error]).toEqual([1, expect.stringContaining("nothing was changed")]);
    expect(await run(["delete", "Route", "reviews"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("Route/default/reviews\tdeleted"),
    });
  });

  test("a rollback brings an earlier content back, and the history says so", async () => {
    await run(["apply", await writeBookinfo()]);
    await write("split.yaml", route("v1", 50));
    await run(["apply", join(folder, "policies")]);
    expect((await run(["rollback", "1"])).out).toMatch(/^Route\/default\/reviews\tupdated\nrevision\t\w+\.3\n$/);
    const lines = (await run(["history"])).out.trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t")[3])).toEqual([
      "~Route/default/reviews",
      "~Route/default/reviews",
      "+Service/default/reviews +Route/default/reviews",
    ]);
  });
});

describe("explain", () => {
  test("tells the rule and the split for a call, without making it", async () => {
    await run(["apply", await writeBookinfo()]);
    const { code, out } = await run(["explain", "http://reviews/reviews/7", "--from", "productpage", "--json"]);
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      {
        kind: "mesh",
        service: "default/reviews",
        destinations: [{ name: "default/reviews:v1" }, { name: "default/reviews:v2" }],
      },
    ]);
    const jason = await run([
      "explain",
      "http://reviews/7",
      "--from",
      "productpage",
      "-H",
      "end-user: jason",
      "--json",
    ]);
    expect(JSON.parse(jason.out).destinations).toMatchObject([{ name: "default/reviews:v2" }]);
    const text = await run(["explain", "http://reviews/7", "--from", "productpage"]);
    expect(text.out).toContain("reviews:v1");
    expect(text.out).not.toContain("static.1");
  });
});

describe("token", () => {
  test("create prints the token alone; list and revoke know it by its id", async () => {
    const { out } = await run(["token", "create", "reviews", "--multi", "--ttl", "5m"]);
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const list = (await run(["token", "list"])).out;
    expect(list).toMatch(/^\S+\tdefault\/reviews\tmulti\tvalid\t\S+Z\n$/);
    const [id = ""] = list.split("\t");
    expect(await run(["token", "revoke", id])).toMatchObject({ code: 0, out: `revoked\t${id}\n` });
    expect((await run(["token", "list"])).out).toContain("\trevoked\t");
    expect(await run(["token", "revoke", "nobody"])).toMatchObject({
      code: 1,
      error: 'there is no join token "nobody" (404 unknown-token)\n',
    });
  });
});

test("on a terminal tables have headings and are aligned; without colour they carry no escapes", async () => {
  await run(["apply", await writeBookinfo()]);
  const { out } = await run(["get"], { interactive: true });
  const lines = out.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^KIND {6}NAMESPACE {3}NAME {6}FROM$/);
  expect(new Set(lines.map((line) => line.search(/NAMESPACE|default/))).size).toBe(1);
  expect(out).not.toContain("\x1b");
  expect((await run(["get"], { interactive: true, color: true })).out).toContain("\x1b[1mKIND");
  expect((await run(["token", "list"], { interactive: true })).out).toBe("no tokens\n");
});

describe("up", () => {
  test("runs a server, applies a folder, and closes when it is stopped", async () => {
    const stop = new AbortController();
    let printed = "";
    const done = run(
      [
        "up",
        "--state-dir",
        join(folder, "up"),
        "--port",
        "0",
        "--admin-port",
        "0",
        "--apply",
        await writeBookinfo(),
        "--json",
      ],
      {
        stop: stop.signal,
        write: (text) => {
          printed += text;
        },
      },
    );
    await vi.waitFor(() => expect(printed).toContain("\n"));
    const told = JSON.parse(printed);
    expect(told).toMatchObject({
      url: expect.stringMatching(/^wss:\/\/127\.0\.0\.1:\d+$/),
      revision: expect.stringMatching(/\.1$/),
    });
    expect((await run(["get", "--admin", told.adminFile])).out).toContain("Route\tdefault\treviews");
    stop.abort();
    expect((await done).code).toBe(0);
    expect((await run(["get", "--admin", told.adminFile])).code).toBe(3);
  });

  test("does not start on policies with problems", async () => {
    await write("bad.yaml", route("v9", 1));
    const { code, error } = await run([
      ...["up", "--state-dir", join(folder, "up"), "--port", "0", "--admin-port", "0", "--apply"],
      join(folder, "policies"),
    ]);
    expect([code, error]).toEqual([1, expect.stringContaining("bad.yaml:")]);
  });
});

describe("bad input", () => {
  const noServer = { environment: { TULLE_ADMIN: "/nowhere/admin.json" } };
  test.each<[string, readonly string[], number, string, Partial<Terminal>?]>([
    ["no command known", ["aply"], 2, "(Did you mean apply?)"],
    ["no path", ["apply"], 2, "nothing to apply: name files or folders"],
    ["a path that is not there", ["apply", "/nowhere"], 2, "/nowhere: there is no such file or folder"],
    ["an unknown kind", ["get", "servce"], 2, 'there is no kind "servce"; did you mean service?'],
    ["a policy that is not there", ["get", "service", "x"], 1, 'there is no Service "x" in the namespace default'],
    ["an unknown revision", ["rollback", "77"], 1, 'there is no revision "77"'],
    ["a limit out of range", ["history", "-l", "0"], 2, "write 1 to 1000"],
    ["a wait out of range", ["apply", "--wait", "--timeout", "9h", "-"], 2, "write a duration from 0s to 5m"],
    ["a life of a token out of range", ["token", "create", "reviews", "--ttl", "9999h"], 1, "1s to 576h"],
    ["explain: no caller", ["explain", "http://reviews/"], 2, "required option '--from <service>'"],
    ["explain: no URL", ["explain", "reviews", "--from", "a"], 2, '"reviews" is no URL'],
    ["explain: bad header", ["explain", "http://reviews/", "--from", "a", "-H", "x"], 2, 'write "name: value"'],
    ["a port out of range", ["up", "--port", "70000"], 2, "write 0 to 65535"],
    ["no admin file", ["status"], 2, "/nowhere/admin.json: there is no such file", noServer],
    ["a variable that makes no sense", ["up"], 2, 'TULLE_PORT="x" is no port', { environment: { TULLE_PORT: "x" } }],
  ])("%s", async (_, argv, code, message, terminal) => {
    expect(await run(argv, terminal)).toMatchObject({ code, error: expect.stringContaining(message) });
  });

  test("an admin file that is none, and one of a server that is not what it says", async () => {
    const none = await write("none.json", "{}");
    expect(await run(["status", "--admin", none])).toMatchObject({
      code: 2,
      error: expect.stringContaining("is not the admin file"),
    });
    const other = await createConfigServer({ port: 0, adminPort: 0 });
    const mixed = await write("mixed.json", JSON.stringify({ url: server.adminUrl, token: "x", ca: other.ca }));
    await other.close();
    expect(await run(["status", "--admin", mixed, "--json"])).toMatchObject({
      code: 3,
      out: expect.stringContaining('"error":"unreachable"'),
      error: expect.stringContaining("is not the config-server of the admin file"),
    });
    const guess = await write("guess.json", JSON.stringify({ url: server.adminUrl, token: "x", ca: server.ca }));
    expect(await run(["status", "--admin", guess])).toMatchObject({ code: 1, error: expect.stringContaining("401") });
  });
});

describe("certificates", () => {
  test("the root is rotated step by step; a step out of turn is refused with the one that comes next", async () => {
    expect((await run(["certificates", "rotate", "prepare"])).out).toMatch(
      /^[0-9a-f]{16}\tactive\t.*\n[0-9a-f]{16}\tprepared\t/,
    );
    const early = await run(["certificates", "rotate", "activate"]);
    expect(early).toMatchObject({
      code: 1,
      error: expect.stringContaining("so distribute comes next (409 rotation-order)"),
    });
    expect((await run(["certificates", "rotate", "distribute"])).code).toBe(0);
    expect((await run(["certificates", "rotate", "activate"])).error).toContain("has just started");
    expect((await run(["certificates", "rotate", "activate", "--force"])).code).toBe(0);
    expect((await run(["certificates", "rotate", "retire"])).error).toContain("may live until");
    expect((await run(["certificates", "rotate", "retire", "--force"])).code).toBe(0);
    // The admin file holds the new root by now, which is how this is answered at all.
    await vi.waitFor(async () => {
      const { out } = await run(["certificates", "rotate", "status", "--json"]);
      expect(JSON.parse(out)).toMatchObject({ phase: "none", roots: [{ state: "active" }], heldBackBy: [] });
    });
  });

  test("serials and identities are revoked, listed and restored", async () => {
    const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";
    expect((await run(["certificates", "revoke", "0a:bc", "--reason", "lost"])).out).toBe("revoked\tABC\n");
    expect((await run(["certificates", "revoke", spiffeId])).out).toBe(`revoked\t${spiffeId}\n`);
    expect((await run(["certificates", "revocations"])).out).toMatch(/ABC\t.*\tlost\n/);
    expect((await run(["certificates", "restore", "abc"])).out).toBe("restored\tabc\n");
    expect((await run(["certificates", "restore", spiffeId])).code).toBe(0);
    expect(await run(["certificates", "restore", "abc"])).toMatchObject({
      code: 1,
      error: expect.stringContaining("is not revoked"),
    });
    expect((await run(["certificates", "revoke", "not hex"])).error).toContain("write it in hexadecimal");
  });

  test("a partner's bundle is added, listed and removed, and our own is printed for it", async () => {
    const partner = await createTestAuthority("partner.test");
    const file = await write("partner.pem", partner.root);
    expect((await run(["certificates", "federate", "add", "partner.test", file])).out).toBe(
      "federated\tpartner.test\t1\n",
    );
    expect((await run(["certificates", "federate", "list"])).out).toContain(
      "partner.test\tCN=Test root of partner.test\t",
    );
    expect((await run(["certificates", "federate", "add", "other.test", file])).error).toContain("not of other.test");
    expect((await run(["certificates", "federate", "remove", "partner.test"])).code).toBe(0);
    expect((await run(["certificates", "federate", "add", "x.test", `${file}.missing`])).code).toBe(2);
    expect((await run(["certificates", "bundle"])).out).toBe(server.ca);
    expect(JSON.parse((await run(["certificates", "bundle", "--format", "jwks"])).out).keys).toHaveLength(1);
  });
});
