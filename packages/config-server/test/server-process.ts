import { createConfigServer } from "@tulle/config-server";

// A process that runs a config-server on a state folder until it is killed.
const [stateDir = ""] = process.argv.slice(2);
try {
  const { adminToken } = await createConfigServer({ stateDir, port: 0, adminPort: 0 });
  process.stdout.write(`${adminToken}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
}
