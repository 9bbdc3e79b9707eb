/** A config-server in a process of its own, so that a test can kill it. Options come as JSON in CONFIG_SERVER_OPTIONS. */
import { createConfigServer } from "@tulle/config-server";

const server = await createConfigServer(JSON.parse(process.env.CONFIG_SERVER_OPTIONS ?? "{}"));
process.send?.({ url: server.url });
process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => void server.close().then(() => process.exit(0)));
