// A server that answers after 20 ms, as a process of its own so that it can be killed.
import { createServer } from "node:http";

const server = createServer((_request, response) => setTimeout(() => response.end("alive"), 20));
server.listen(0, "127.0.0.1", () => process.send?.(server.address().port));
process.on("disconnect", () => process.exit());
