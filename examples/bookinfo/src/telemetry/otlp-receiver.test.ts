import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CallLedger } from "./call-ledger.ts";
import { type OtlpReceiver, startOtlpReceiver } from "./otlp-receiver.ts";

const exported = (attributes: readonly object[]): object => ({
  resourceMetrics: [
    {
      resource: { attributes: [{ key: "service.instance.id", value: { stringValue: "productpage.1" } }] },
      scopeMetrics: [
        {
          metrics: [
            { name: "tulle.connections", sum: { dataPoints: [{ asInt: "1" }] } },
            {
              name: "http.client.request.duration",
              exponentialHistogram: {
                aggregationTemporality: 2,
                dataPoints: [
                  {
                    attributes,
                    timeUnixNano: "1700000000000000000",
                    count: "7",
                    scale: 3,
                    zeroCount: "0",
                    positive: { offset: -64, bucketCounts: ["3", 0, 4] },
                  },
                ],
              },
            },
          ],
        },
      ],
    },
  ],
});
const attributes = [
  { key: "tulle.source", value: { stringValue: "productpage" } },
  { key: "tulle.destination", value: { stringValue: "details" } },
  { key: "tulle.mtls", value: { boolValue: true } },
  { key: "http.response.status_code", value: { intValue: "200" } },
];

describe("the receiver", () => {
  const ledger = new CallLedger();
  let receiver: OtlpReceiver;
  beforeEach(async () => {
    receiver = await startOtlpReceiver(ledger);
  });
  afterEach(() => receiver.close());
  const post = (body: string) => fetch(`${receiver.endpoint}/v1/metrics`, { method: "POST", body });

  test("enters an export into the ledger", async () => {
    expect((await post(JSON.stringify(exported(attributes)))).status).toBe(200);
    expect(ledger.total()).toMatchObject([
      { source: "productpage", destination: "details", requests: 7, unencrypted: 0 },
    ]);
    expect(ledger.collectedAtMs("productpage.1")).toBe(1_700_000_000_000);
  });

  test.each([
    ["no JSON", "{", "JSON"],
    ["no instance", '{"resourceMetrics":[{}]}', "service.instance.id"],
    ["no list", '{"resourceMetrics":{}}', "a list was expected"],
    ["no number", JSON.stringify(exported(attributes)).replace('"scale":3', '"scale":"x"'), "x is no number"],
    ["too long", `"${"x".repeat(2 * 1024 * 1024)}"`, "longer than"],
  ])("refuses %s and counts it", async (_, body, reason) => {
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(reason);
    expect(receiver.refused).toMatchObject({ count: 1, last: expect.stringContaining(reason) });
  });

  test("serves nothing else", async () => {
    expect((await fetch(`${receiver.endpoint}/v1/traces`, { method: "POST", body: "{}" })).status).toBe(404);
  });
});
