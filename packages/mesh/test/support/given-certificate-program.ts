/** A service without a config-server, in a process of its own: its certificate and the bundles come as JSON in CREDENTIALS. */
import { createMesh } from "tulle";

const mesh = createMesh({
  policies: [
    {
      kind: "Access",
      name: "callers",
      selector: { service: "reviews" },
      rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
    },
  ],
  endpoints: { reviews: [] },
  service: "reviews",
  credentials: JSON.parse(process.env.CREDENTIALS ?? "{}"),
});
const { port } = await mesh.listen(
  (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => response.end(JSON.stringify({ pid: process.pid, said: Buffer.concat(chunks).toString() })));
  },
  { port: 0, host: "127.0.0.1" },
);
process.send?.({ port });
process.on("disconnect", () => process.exit(0));
