import { readFileSync } from "node:fs";
import { decodeMemberMessage } from "@tulle/protocol";
import { expect, test } from "vitest";
import { encodeHello, SOFTWARE } from "./hello.ts";
import { type HeldStreams, nothingHeld } from "./subscription.ts";

const member = { id: "reviews-0", namespace: "default", service: "reviews", labels: {} };
const held: HeldStreams = {
  ...nothingHeld,
  policy: {
    revision: "e.3",
    seen: "e.4",
    resources: new Map([["mesh", { version: "v", value: { kind: "Mesh", name: "mesh" } }]]),
  },
};

test("a hello says what is held, by version", () => {
  expect(decodeMemberMessage(encodeHello(member, held, ["default/ratings"]))).toMatchObject({
    type: "hello",
    member,
    held: { policy: { revision: "e.3", seen: "e.4", resources: { mesh: "v" } } },
    subscriptions: ["default/ratings"],
  });
});

test("a hello says what policies may ask of the member", () => {
  expect(decodeMemberMessage(encodeHello(member, held, [], ["policy:regex-re2"]))).toMatchObject({
    features: ["gzip", "policy:regex-re2"],
  });
});

test("a hello that would be too long asks for everything, and still says what was seen", () => {
  expect(decodeMemberMessage(encodeHello(member, held, [], [], 100))).toMatchObject({
    held: { policy: { revision: null, seen: "e.4", resources: {} } },
  });
});

test("the software is that of the package", () => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(SOFTWARE).toBe(`tulle/${version}`);
});
