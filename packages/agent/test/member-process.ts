import { systemClock } from "@tulle/time";
import { createAgent } from "../src/agent.ts";

// A process that joins and then has nothing left to do. It never leaves: it must end all the same.
const [server = "", token = ""] = process.argv.slice(2);
const agent = createAgent({
  server,
  token,
  service: "productpage",
  namespace: "default",
  labels: {},
  clock: systemClock,
  random: Math.random,
});
agent.start();
await agent.ready(10_000);
process.stdout.write(agent.state.current.state);
