import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { beforeAll, describe, expect, test } from "vitest";
import { type Answer, call, inbound, testServer } from "./fixtures.ts";

let own: Credentials;
let peer: Credentials;

beforeAll(async () => {
  const authority = await createTestAuthority();
  own = await authority.issue({ serviceAccount: "reviews" });
  peer = await authority.issue({ serviceAccount: "productpage" });
});

const REPORT = "endpoint-load-metrics";
const ASKING = { "endpoint-load-metrics-format": "TEXT" };

const listening = async () => {
  const server = testServer({ inbound: constant(inbound("permissive")), credentials: constant(own) });
  const listener = await server.listen(
    (request, response) => {
      // What a handler claims is not said.
      if (request.url === "/list") response.writeHead(200, ["Endpoint-Load-Metrics", "TEXT eps=99", "X-A", "1"]).end();
      else if (request.url === "/object") response.writeHead(503, { [REPORT]: "TEXT eps=99" }).end();
      else {
        response.setHeader(REPORT, "TEXT eps=99");
        response.end("ok");
      }
    },
    { port: 0, host: "127.0.0.1" },
  );
  return (options: Parameters<typeof call>[1] = {}): Promise<Answer> => call(listener.port, options);
};

describe("how busy a member is", () => {
  test.each(["/", "/list", "/object"])(
    "is told to a verified caller that asks, and not what a handler claims (%s)",
    async (path) => {
      const ask = await listening();
      await ask({ as: peer, path, headers: ASKING });
      const { headers } = await ask({ as: peer, path, headers: ASKING });
      expect(headers[REPORT]).toMatch(/^TEXT named_metrics\.rif=1,named_metrics\.latency_ms=[\d.]+$/);
    },
  );

  test("is told to no stranger, and to no verified caller that does not ask or asks for another format", async () => {
    const ask = await listening();
    expect((await ask({ headers: ASKING })).headers[REPORT]).toBeUndefined();
    expect((await ask({ tls: true, headers: ASKING })).headers[REPORT]).toBeUndefined();
    expect((await ask({ as: peer })).headers[REPORT]).toBeUndefined();
    const json = { "endpoint-load-metrics-format": "JSON" };
    expect((await ask({ as: peer, headers: json })).headers[REPORT]).toBeUndefined();
  });
});
