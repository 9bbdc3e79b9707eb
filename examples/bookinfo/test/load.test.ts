import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { startLoad } from "../src/launcher/load.ts";

let visits: string[];
let status: number;
let pageUrl: string;
beforeEach(async () => {
  visits = [];
  status = 200;
  const server = createServer((request, response) => {
    visits.push(request.url ?? "");
    response.writeHead(status).end("page");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  pageUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/productpage`;
});

test("most visitors are anonymous, some are jason, some ask for v3", async () => {
  const load = startLoad({ pageUrl, rate: 500 });
  await vi.waitFor(() => expect(load.requests).toBeGreaterThanOrEqual(400), { timeout: 15_000 });
  await load.stop();
  expect(load).toMatchObject({ requests: visits.length, failures: 0, lastFailure: undefined });
  const first = visits.slice(0, 400);
  expect(first.filter((url) => url === "/productpage?u=jason")).toHaveLength(2);
  expect(first.filter((url) => url === "/productpage?reviews=v3")).toHaveLength(2);
  expect(first.filter((url) => url === "/productpage")).toHaveLength(396);
});

test("a page that is not answered with success has failed, and the reason is kept", async () => {
  status = 503;
  const load = startLoad({ pageUrl, rate: 100 });
  await vi.waitFor(() => expect(load.requests).toBeGreaterThan(0), { timeout: 15_000 });
  await load.stop();
  expect(load.failures).toBe(load.requests);
  expect(load.lastFailure).toBe(`${pageUrl} answered 503`);
});
