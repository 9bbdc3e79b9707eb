// The control plane of the example, a process of its own: `tulle up` with the ports and the folder that the launcher chose.
import { join } from "node:path";
import { createConfigServer } from "@tulle/config-server";

/** What the launcher is told once members can join. */
export interface ConfigServerMessage {
  readonly type: "serving";
  /** Where members connect. */
  readonly url: string;
  readonly port: number;
  readonly adminPort: number;
  readonly adminFile: string;
}

const stateDir = process.env.CONFIG_SERVER_STATE ?? "config-server-state";
const log = (level: string) => (detail: object, message: string) => {
  console.log(JSON.stringify({ at: new Date().toISOString(), level, message, ...detail }));
};

const server = await createConfigServer({
  stateDir,
  port: Number(process.env.CONFIG_SERVER_PORT ?? 0),
  adminPort: Number(process.env.CONFIG_SERVER_ADMIN_PORT ?? 0),
  logger: { info: log("info"), warn: log("warn"), error: log("error") },
});

const end = (): void => {
  server.close().finally(() => process.exit(0));
};
process.once("SIGTERM", end);
process.once("SIGINT", end);
// The launcher is gone.
process.once("disconnect", end);

const message: ConfigServerMessage = {
  type: "serving",
  url: server.url,
  port: Number(new URL(server.url).port),
  adminPort: Number(new URL(server.adminUrl).port),
  adminFile: join(stateDir, "admin.json"),
};
process.send?.(message);
