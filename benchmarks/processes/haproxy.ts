import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fleet } from "./fleet.ts";

/** HAProxy in front of the fleet. */
export interface Haproxy extends AsyncDisposable {
  /** Takes calls in plaintext. */
  readonly socketPath: string;
}

/** Its version, `undefined` where it is not installed. */
export const haproxyVersion = (): string | undefined =>
  /version (\S+)/.exec(spawnSync("haproxy", ["-v"], { encoding: "utf8" }).stdout ?? "")?.[1];

/** How long it may take to open its socket. */
const START_LIMIT_MS = 10_000;

/** What HAProxy is told besides how to balance: to check its servers, and to repeat elsewhere what failed, as the mesh does. */
const configuration = (folder: string, balance: string, ports: readonly number[]): string => `
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 2s
  retries 3
  option redispatch 1
  retry-on all-retryable-errors
frontend calls
  bind unix@${join(folder, "calls.sock")}
  default_backend reviews
backend reviews
  balance ${balance}
  default-server check inter 1s fall 2 rise 1 ssl verify required ca-file ${join(folder, "root.pem")} crt ${join(folder, "caller.pem")}
${ports.map((port, place) => `  server s${place} 127.0.0.1:${port}`).join("\n")}
`;

/** Starts it, and ends it with the object. */
export const startHaproxy = async ({ ports, credentials, root }: Fleet, balance: string): Promise<Haproxy> => {
  const folder = await mkdtemp(join(tmpdir(), "tulle-haproxy-"));
  const socketPath = join(folder, "calls.sock");
  await writeFile(join(folder, "root.pem"), root);
  await writeFile(join(folder, "caller.pem"), `${credentials.certificateChain}\n${credentials.privateKey}`, {
    mode: 0o600,
  });
  await writeFile(join(folder, "haproxy.cfg"), configuration(folder, balance, ports));
  const child = spawn("haproxy", ["-db", "-f", join(folder, "haproxy.cfg")], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const startedMs = performance.now();
  while (!(await exists(socketPath))) {
    if (child.exitCode !== null || performance.now() - startedMs > START_LIMIT_MS) {
      await dispose();
      throw new Error(`HAProxy did not start:\n${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { socketPath, [Symbol.asyncDispose]: dispose };
};

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
