/** Two workers of `node:cluster` that each listen in a mesh; the primary tells their ports. */
import cluster from "node:cluster";
import { createMesh } from "tulle";

if (cluster.isPrimary) {
  const ports: unknown[] = [];
  cluster.on("message", (_worker, port) => {
    ports.push(port);
    if (ports.length === 2) process.send?.({ ports });
  });
  cluster.fork();
  cluster.fork();
} else {
  const mesh = createMesh({ policies: [], endpoints: {} });
  const { port } = await mesh.listen(() => undefined, { port: 0, host: "127.0.0.1" });
  process.send?.(port);
}
