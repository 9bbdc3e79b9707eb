import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Policy } from "@tulle/policy";
import { type JoinMeshOptions, joinMesh } from "../../src/join-mesh.ts";
import type { Mesh } from "../../src/mesh.ts";
import type { AcknowledgementOf, MemberList } from "./admin-client.ts";
import { type AdminClient, adminClient } from "./admin-client.ts";
import { type Program, startProgram } from "./process.ts";

export type { AcknowledgementOf, MemberList };

/** A config-server in a process of its own, with a store that outlives it. */
export interface MeshFixture extends AsyncDisposable {
  readonly admin: AdminClient;
  readonly url: string;
  readonly stateDir: string;
  /** Kills the config-server with SIGKILL. */
  killConfigServer(): Promise<void>;
  /** Starts it again on the same store and ports. */
  startConfigServer(): Promise<void>;
  /** A token for one service account. */
  token(serviceAccount: string, namespace?: string): Promise<string>;
  /** Starts an instance in a process of its own and waits until it listens. */
  startMember(options: MemberOptions): Promise<Program>;
  /** A member in this process, ready. */
  join(options: Partial<JoinMeshOptions> & { readonly service: string }): Promise<Mesh>;
  /** A folder that is removed in the end. */
  folder(): Promise<string>;
}

/** One instance. */
export interface MemberOptions {
  readonly service: string;
  readonly version?: string;
  readonly instanceId?: string;
  readonly stateDir?: string;
  readonly port?: number;
  /** @default "10s" */
  readonly readyTimeout?: string;
  /** An optional package that this member cannot load. @default none */
  readonly lacks?: string;
  /** @default a fresh token for the service */
  readonly token?: string;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

/** Starts a config-server with policies; `options` are those of `createConfigServer`. */
export const startMesh = async (
  policies: readonly Policy[],
  options: Readonly<Record<string, unknown>> = {},
): Promise<MeshFixture> => {
  const folders: string[] = [];
  const folder = async (): Promise<string> => {
    const path = await mkdtemp(join(tmpdir(), "tulle-test-"));
    folders.push(path);
    return path;
  };
  const stateDir = await folder();
  const [port, adminPort] = [await freePort(), await freePort()];
  const launch = async (): Promise<{
    readonly program: Program;
    readonly admin: AdminClient;
    readonly url: string;
  }> => {
    const program = startProgram("config-server", {
      CONFIG_SERVER_OPTIONS: JSON.stringify({ stateDir, port, adminPort, ...options }),
    });
    const said = await program.heard("url");
    return { program, admin: await adminClient(stateDir), url: String(said.url) };
  };

  let server = await launch();
  const started: AsyncDisposable[] = [];
  if (policies.length > 0) await server.admin.apply(policies);
  const token = (serviceAccount: string, namespace = "default"): Promise<string> =>
    server.admin.token({ serviceAccount, namespace, uses: "multi", ttl: "1h" });

  return {
    get admin() {
      return server.admin;
    },
    url: server.url,
    stateDir,
    folder,
    token,
    killConfigServer: async () => void (await server.program.end("SIGKILL")),
    startConfigServer: async () => {
      server = await launch();
    },
    startMember: async (member) => {
      const program = startProgram("member", {
        TULLE_SERVER: server.url,
        TULLE_SERVICE: member.service,
        TULLE_TOKEN: member.token ?? (await token(member.service)),
        MEMBER_VERSION: member.version ?? "v1",
        ...(member.instanceId === undefined ? {} : { TULLE_INSTANCE_ID: member.instanceId }),
        ...(member.stateDir === undefined ? {} : { TULLE_STATE_DIR: member.stateDir }),
        ...(member.readyTimeout === undefined ? {} : { MEMBER_READY_TIMEOUT: member.readyTimeout }),
        ...(member.lacks === undefined ? {} : { MEMBER_LACKS: member.lacks }),
        ...(member.port === undefined ? {} : { MEMBER_PORT: String(member.port) }),
      });
      started.push(program);
      await program.heard("port");
      return program;
    },
    join: async (joinOptions) => {
      const mesh = await joinMesh({
        server: server.url,
        token: joinOptions.token ?? (await token(joinOptions.service)),
        readyTimeout: "10s",
        ...joinOptions,
      });
      started.push(mesh);
      return mesh;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(started.map((each) => each[Symbol.asyncDispose]()));
      await server.program.end("SIGKILL");
      await Promise.all(folders.map((path) => rm(path, { recursive: true, force: true })));
    },
  };
};
