import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";

const script = fileURLToPath(new URL("./slow-server.mjs", import.meta.url));
const children: ChildProcess[] = [];

const start = async () => {
  const child = fork(script, { execArgv: [], env: {} });
  children.push(child);
  const [port] = (await once(child, "message")) as [number];
  return { child, endpoint: endpointAt(port) };
};

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

test("an instance that is killed under steady traffic costs no GET", async () => {
  const before = 300;
  const [first, second] = await Promise.all([start(), start()]);
  await using client = clientOf(snapshotOf({ reviews: { endpoints: [first.endpoint, second.endpoint] } }));
  let sent = 0;
  const statuses = new Map<number | string, number>();
  const call = async (): Promise<void> => {
    sent++;
    const status = await client.request("http://reviews/").then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      },
      (error: Error) => error.message,
    );
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  const worker = async (until: () => boolean): Promise<void> => {
    while (!until()) {
      await call();
      // Calls that fail at once must not keep the event loop from hearing of the kill.
      await new Promise(setImmediate);
    }
  };
  let killed = false;
  const workers = Array.from({ length: 20 }, () => worker(() => killed && sent > before + 1_000));
  while ((statuses.get(200) ?? 0) < before) await new Promise(setImmediate);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  killed = true;
  await Promise.all(workers);
  expect([...statuses.keys()]).toEqual([200]);
  expect(client.counters().retries).toBeGreaterThan(0);
});

test("a dead instance among two opens no circuit, not even when a burst of calls is the first to find out", async () => {
  const [dead, living] = await Promise.all([start(), start()]);
  dead.child.kill("SIGKILL");
  await once(dead.child, "exit");
  await using client = clientOf(snapshotOf({ reviews: { endpoints: [dead.endpoint, living.endpoint] } }));
  const burst = async (): Promise<readonly unknown[]> =>
    Promise.all(
      Array.from({ length: 60 }, () =>
        client.request("http://reviews/", { method: "POST", body: "x" }).then(
          async ({ statusCode, body }) => {
            await body.dump();
            return statusCode;
          },
          (error: Error) => error.message,
        ),
      ),
    );
  const answers = [...(await burst()), ...(await burst())];
  expect(new Set(answers)).toEqual(new Set([200]));
});
