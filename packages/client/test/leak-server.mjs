// Two instances that are well, slow, failing or silent by the path that is asked. A process of its own: its garbage is not
// what is counted.
import { createServer } from "node:http";

let visits = 0;
const every = (count) => visits++ % count === 0;

const listener = (request, response) => {
  request.resume();
  const answer = (status, afterMs = 0) => {
    const end = () => response.writeHead(status).end("answer");
    if (afterMs === 0) end();
    else setTimeout(end, afterMs);
  };
  if (request.url === "/retried") answer(every(3) ? 503 : 200);
  else if (request.url === "/hedged") answer(200, every(2) ? 20 : 0);
  else if (request.url === "/failing") answer(503);
  else if (request.url === "/busy") answer(429);
  else if (request.url !== "/silent" && request.url !== "/given-up") answer(200);
};

const servers = [createServer(listener), createServer(listener)];
for (const server of servers) server.listen(0, "127.0.0.1");
await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
process.send?.(servers.map((server) => server.address().port));
process.on("disconnect", () => process.exit());
