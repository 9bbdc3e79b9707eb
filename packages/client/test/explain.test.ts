import { expect, test } from "vitest";
import { explain } from "../src/explain.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";

const reviews = snapshotOf({ reviews: { endpoints: [endpointAt(1)] } });

test.each([
  ["https://reviews/7", "service default/reviews has port 80, not 443; write http:// and no port"],
  ["http://reviews:9080/7", "service default/reviews has port 80, not 9080; the port in a URL is the service port"],
  ["http://revews.default.svc.cluster.local/7", "did you mean reviews.default.svc.cluster.local?"],
])("%s is told to be refused before it is called, as it is when it is called", async (url, note) => {
  await using client = clientOf(reviews);
  const ahead = client.explain(url);
  expect(ahead).toMatchObject({ kind: "refused", failure: "UNKNOWN_SERVICE", url });
  expect(String(ahead)).toContain(note);
  const failure: unknown = await client.fetch(url).catch((error: unknown) => error);
  expect(explain(failure)).toMatchObject({ failure: "UNKNOWN_SERVICE" });
  expect(String(explain(failure))).toContain(note);
});

test("a failure that another API has made its cause is explained", async () => {
  await using client = clientOf(reviews);
  const failure: unknown = await client.fetch("http://reviews/", { mesh: { retry: false } }).catch((error) => error);
  expect(explain(new TypeError("fetch failed", { cause: failure }))).toMatchObject({ failure: "CONNECT_FAILED" });
});

test("an answer that stands for a failure of the mesh is explained by that failure", async () => {
  await using client = clientOf(reviews);
  const mesh = { retry: false, localReplies: "response" } as const;
  for (const answer of [
    await client.fetch("http://reviews/", { mesh }),
    await client.request("http://reviews/", { mesh }),
  ]) {
    expect(explain(answer)).toMatchObject({ failure: "CONNECT_FAILED", attempts: [{ code: "CONNECT_FAILED" }] });
  }
});

test("what is not known yet is told, with the revision in force", async () => {
  const snapshot = snapshotOf({ reviews: { endpoints: [] } });
  await using client = clientOf({ ...snapshot, services: new Map() });
  const told = String(client.explain("http://reviews/"));
  expect(told).toContain("policy revision static.1");
  expect(told).toContain("the first call asks the mesh for it");
});

test("hedging, the longest duration and a retry that the budget refused are told", async () => {
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [endpointAt(1)],
        policy: { retryBudget: { ratio: 0, minPerSecond: 0 } },
        routes: [
          {
            kind: "Route",
            name: "reviews",
            services: ["reviews"],
            rules: [{ hedge: { quantile: 0.999, attempts: 2 }, maxDuration: "1h" }],
          },
        ],
      },
    }),
  );
  const ahead = client.explain("http://reviews/");
  expect(ahead.hedge).toEqual({ attempts: 2, after: "99.9 % of the answers" });
  expect(String(ahead)).toContain("at most 1h in all; retries 2; hedges 2 after 99.9 % of the answers");
  const failure: unknown = await client.fetch("http://reviews/").catch((error: unknown) => error);
  expect(explain(failure)).toMatchObject({ failure: "CONNECT_FAILED", noRetry: "OVERFLOW_RETRIES" });
  expect(String(explain(failure))).toContain("not tried again: OVERFLOW_RETRIES");
});
