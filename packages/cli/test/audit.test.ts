import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConfigServer } from "@tulle/config-server";
import { expect, test } from "vitest";
import { run } from "./captured-terminal.ts";

test("admin tokens are made, listed, ended and rotated, and the audit log tells of it and of tampering", async () => {
  const stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
  const server = await createConfigServer({ stateDir, port: 0, adminPort: 0 });
  const environment = { TULLE_STATE_DIR: stateDir };
  try {
    const { out: token } = await run(["admin", "create", "pipeline", "--ttl", "1h"], { environment });
    expect(token).toMatch(/^tulle-admin\.\S+\n$/);
    const file = join(stateDir, "pipeline.json");
    await writeFile(file, JSON.stringify({ url: server.adminUrl, token: token.trim(), ca: server.ca }));
    expect(await run(["status", "--admin", file])).toMatchObject({ code: 0 });
    expect(await run(["admin", "list", "--admin", file])).toMatchObject({
      code: 1,
      error: expect.stringContaining("needs the token of admin.json"),
    });
    const { out: listed } = await run(["admin", "list"], { environment });
    const [id = "", name, scope, state] = listed.split("\t");
    expect([name, scope, state]).toEqual(["pipeline", "write", "valid"]);
    expect(await run(["admin", "revoke", id], { environment })).toMatchObject({ out: `revoked\t${id}\n` });
    expect(await run(["history", "--admin", file])).toMatchObject({ code: 1 });
    expect(await run(["admin", "rotate"], { environment })).toMatchObject({ code: 0 });
    expect(await run(["status"], { environment })).toMatchObject({ code: 0 });
    expect(await run(["admin", "create", "x", "--ttl", "1s"], { environment })).toMatchObject({ code: 1 });
  } finally {
    await server.close();
  }

  const { out } = await run(["audit"], { environment });
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t").slice(2, 4));
  expect(events).toEqual([
    ["admin-token-created", "admin"],
    ["admin-refused", "127.0.0.1"],
    ["admin-token-revoked", "admin"],
    ["admin-refused", "127.0.0.1"],
    ["admin-token-rotated", "admin"],
  ]);
  const found = await run(["audit", "--event", "admin-token-created", "--find", "pipeline", "--json"], { environment });
  expect(JSON.parse(found.out)).toMatchObject({ seq: 1, detail: { name: "pipeline", scope: "write" } });

  const intact = await run(["audit", "verify"], { environment });
  expect(intact).toMatchObject({ code: 0, out: expect.stringMatching(/^intact\t5 lines, 1 to 5\nhead\t\S{43}\n$/) });
  const head = /head\t(\S+)/.exec(intact.out)?.[1] ?? "";
  expect(await run(["audit", "verify", "--head", head, "--state-dir", stateDir])).toMatchObject({ code: 0 });

  const log = join(stateDir, "audit.jsonl");
  const text = await readFile(log, "utf8");
  await writeFile(log, text.replace("pipeline", "somebody"));
  expect(await run(["audit", "verify"], { environment })).toMatchObject({
    code: 1,
    error: `${log}:2: the line before it was changed\n`,
  });
  await writeFile(log, `${text.trimEnd().split("\n").slice(0, 4).join("\n")}\n`);
  expect(await run(["audit", "verify", "--head", head], { environment })).toMatchObject({
    code: 1,
    error: expect.stringContaining("cut off"),
  });
  expect(await run(["audit", "--state-dir", "/nowhere"])).toMatchObject({ code: 2 });
});
