/** Instances of a service without a config-server, each with a listener of its own in this process: COUNT, CREDENTIALS, DELAY_MS. */
import { createMesh } from "tulle";

const delayMs = Number(process.env.DELAY_MS ?? 0);
const ports: number[] = [];
for (let each = 0; each < Number(process.env.COUNT ?? 1); each++) {
  const mesh = createMesh({
    policies: [],
    endpoints: { reviews: [] },
    service: "reviews",
    credentials: JSON.parse(process.env.CREDENTIALS ?? "{}"),
  });
  const { port } = await mesh.listen(
    (request, response) => {
      request.resume().on("end", () => {
        setTimeout(() => response.end(JSON.stringify({ version: `v${each}`, pid: process.pid })), delayMs);
      });
    },
    { port: 0, host: "127.0.0.1" },
  );
  ports.push(port);
}
process.send?.({ ports });
process.on("disconnect", () => process.exit(0));
