import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigServer, createConfigServer } from "@tulle/config-server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { type Captured, run as runCommand } from "./captured-terminal.ts";

// Istio's samples, applied as they are.

const samples = corpus("istio/samples");

describe.skipIf(samples.missing)(`Istio's samples${samples.note}`, () => {
  let server: ConfigServer;
  let stateDir: string;
  beforeEach(async () => {
    stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
    server = await createConfigServer({ stateDir, port: 0, adminPort: 0 });
  });
  afterEach(() => server.close());

  const run = (...argv: readonly string[]): Promise<Captured> =>
    runCommand(argv, { environment: { TULLE_STATE_DIR: stateDir } });
  const bookinfo = (path: string): string => samples.beside(`samples/bookinfo/${path}`);

  test("bookinfo's folder of networking documents is applied to an empty config-server", async () => {
    expect(await run("apply", "-f", bookinfo("networking"))).toMatchObject({ code: 0 });
    expect((await run("get", "service", "ratings")).out).toContain("v2-mysql");
  });

  test("its files are applied one after the other: workloads, subsets, routes, each keeping what was there", async () => {
    for (const file of [
      "platform/kube/bookinfo.yaml",
      "networking/destination-rule-all.yaml",
      "networking/virtual-service-all-v1.yaml",
      "networking/virtual-service-reviews-90-10.yaml",
      "networking/virtual-service-reviews-test-v2.yaml",
      "networking/virtual-service-ratings-test-delay.yaml",
    ]) {
      expect({ file, ...(await run("apply", "-f", bookinfo(file))) }).toMatchObject({ file, code: 0 });
    }
    const { out } = await run("get", "service", "reviews");
    for (const part of ["port: 9080", "bookinfo-reviews", "version: v3"]) expect(out).toContain(part);
  });
});
