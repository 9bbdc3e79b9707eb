/** One of the servers that balancers are compared over, a process of its own: a member that answers after as long as it is told. */
import { seededRandom } from "@tulle/testing";
import { createMesh } from "tulle";

/** What can be wrong with a server while it runs. */
export type Trouble = "none" | "slow" | "failing";

/** What a server is asked. */
export type ServerQuestion = { readonly trouble: Trouble } | { readonly count: "restart" };

/** What it answers. */
export type ServerAnswer = { readonly port: number } | { readonly requests: number };

/** Requests that a server works on at once; others wait. */
const WORKERS = 4;

/** Work of a request, milliseconds: the mean of an exponential distribution. */
const WORK_MS = 10;

/** How many times as long a slow server takes. */
const SLOWNESS = 10;

const random = seededRandom(Number(process.env.SEED));
let trouble: Trouble = "none";
let requests = 0;
let busy = 0;
const waiting: (() => void)[] = [];

const work = (done: () => void): void => {
  busy += 1;
  const takesMs = -Math.log(1 - random()) * WORK_MS * (trouble === "slow" ? SLOWNESS : 1);
  setTimeout(() => {
    busy -= 1;
    done();
    waiting.shift()?.();
  }, takesMs);
};

const mesh = createMesh({
  policies: [],
  endpoints: { reviews: [] },
  service: "reviews",
  credentials: JSON.parse(process.env.CREDENTIALS ?? "{}"),
});
const { port } = await mesh.listen(
  (_request, response) => {
    requests += 1;
    if (trouble === "failing") {
      response.writeHead(503).end();
      return;
    }
    const begin = (): void => work(() => response.end("ok"));
    if (busy < WORKERS) begin();
    else waiting.push(begin);
  },
  { port: 0, host: "127.0.0.1", signals: false },
);
process.on("message", (question: ServerQuestion) => {
  if ("trouble" in question) {
    trouble = question.trouble;
    return;
  }
  answer({ requests });
  requests = 0;
});
process.on("disconnect", () => process.exit(0));
answer({ port });

function answer(message: ServerAnswer): void {
  process.send?.(message);
}
