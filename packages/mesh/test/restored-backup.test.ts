import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigServer, type ConfigServerOptions, createConfigServer } from "@tulle/config-server";
import { expect, test } from "vitest";
import { joinMesh } from "../src/index.ts";

/** Members come back at once. A server that goes asks them to wait, too: up to a second, by its own chance. */
const soon = (): number => 0.01;

test("members refuse a restored, older store, until it goes on under a new epoch", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tulle-backup-"));
  const [stateDir, backup] = [join(folder, "state"), join(folder, "backup")];
  let port = 0;
  const up = async (options: ConfigServerOptions = {}): Promise<ConfigServer> => {
    const server = await createConfigServer({ stateDir, port, adminPort: 0, random: soon, ...options });
    port = Number(new URL(server.url).port);
    return server;
  };

  const original = await up();
  const kept = await original.apply([
    { kind: "Service", name: "reviews", hosts: ["reviews.example"] },
    { kind: "Service", name: "details" },
  ]);
  const { token } = await original.createToken({ serviceAccount: "reviews", uses: "multi" });
  await original.close();
  await cp(stateDir, backup, { recursive: true });

  const later = await up();
  const lost = await later.apply([{ kind: "Service", name: "ratings" }]);
  const warnings: string[] = [];
  await using mesh = await joinMesh({
    service: "reviews",
    server: later.url,
    token,
    dependencies: ["reviews", "details"],
    random: soon,
    logger: { info: () => undefined, warn: (line) => void warnings.push(line), error: () => undefined },
  });
  await expect.poll(() => mesh.status.revision).toBe(lost.revision);
  expect(mesh.explain("http://ratings/").service).toBe("default/ratings");
  await later.close();

  await rm(stateDir, { recursive: true });
  await cp(backup, stateDir, { recursive: true });
  const restored = await up();
  await expect.poll(() => warnings.join("\n")).toContain(`behind: the member has seen ${lost.revision} of policy`);
  expect(mesh.status).toMatchObject({ state: "disconnected", revision: lost.revision });
  await restored.close();

  const renewed = await up({ newEpoch: true });
  const present = await renewed.apply([]);
  expect(present.revision).toMatch(/^[0-9a-f]{8}\.1$/);
  expect(present.revision).not.toBe(kept.revision);
  await expect
    .poll(() => mesh.status, { timeout: 10_000 })
    .toMatchObject({
      state: "joined",
      revision: present.revision,
    });
  // In full: what the backup does not know is gone, what it knows is there.
  expect(mesh.explain("http://ratings/").service).toBeUndefined();
  expect(mesh.explain("http://details/").service).toBe("default/details");
  expect(mesh.explain("http://reviews.example/").service).toBe("default/reviews");

  // And from then on as ever, also after a restart without the option.
  const next = await renewed.apply([{ kind: "Service", name: "ratings" }]);
  expect(next.revision).toBe(present.revision.replace(/1$/, "2"));
  await expect.poll(() => mesh.status.revision).toBe(next.revision);
  await renewed.close();
  const restarted = await up();
  expect((await restarted.apply([])).revision).toBe(next.revision);
  await expect.poll(() => mesh.status.state, { timeout: 10_000 }).toBe("joined");
  await mesh.leave();
  await restarted.close();
  await rm(folder, { recursive: true, force: true });
});
