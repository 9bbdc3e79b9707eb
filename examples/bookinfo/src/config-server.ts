// The control plane of the example, a process of its own: what `tulle up` runs, with the ports and the folder that the
// launcher chose (TULLE_PORT, TULLE_ADMIN_PORT, TULLE_STATE_DIR).
import { join } from "node:path";
import { startConfigServer } from "@tulle/config-server";

/** What the launcher is told once members can join. */
export interface ConfigServerMessage {
  readonly type: "serving";
  /** Where members connect. */
  readonly url: string;
  readonly port: number;
  readonly adminPort: number;
  readonly adminFile: string;
}

const server = await startConfigServer();
const message: ConfigServerMessage = {
  type: "serving",
  url: server.url,
  port: Number(new URL(server.url).port),
  adminPort: Number(new URL(server.adminUrl).port),
  adminFile: join(server.stateDir, "admin.json"),
};
// The launcher is gone.
process.once("disconnect", () => void server.close());
process.channel?.unref();
process.send?.(message);
