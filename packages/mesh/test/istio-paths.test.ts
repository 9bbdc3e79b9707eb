import { connect } from "node:net";
import type { PathNormalization } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { createMesh } from "../src/create-mesh.ts";

// Istio's own tests of paths, sent to a running member: what its handlers are given.

const document = corpus<{
  readonly normalization: readonly { readonly type: string; readonly pairs: readonly (readonly [string, string])[] }[];
}>("istio/traffic.json");

const modes: Readonly<Record<string, PathNormalization>> = {
  NONE: "none",
  BASE: "base",
  MERGE_SLASHES: "merge-slashes",
  DECODE_AND_MERGE_SLASHES: "decode-and-merge-slashes",
};

/** What the handlers of a member are given for each path. */
const forwardedBy = async (received: readonly string[], mesh: object): Promise<readonly string[]> => {
  const authority = await createTestAuthority();
  await using b = createMesh({
    policies: [
      { kind: "Mesh", name: "mesh", mtls: "permissive", ...mesh },
      { kind: "Service", name: "b" },
    ],
    endpoints: {},
    service: "b",
    credentials: await authority.issue({ serviceAccount: "b" }),
  });
  const { port } = await b.listen((request, response) => response.end(request.url), {
    port: 0,
    host: "127.0.0.1",
    signals: false,
  });
  // A client would tidy the paths up, so they are written to the socket as they stand.
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk;
  });
  for (const path of received) socket.write(`GET ${path} HTTP/1.1\r\nhost: b\r\n\r\n`);
  await expect.poll(() => heard.split("HTTP/1.1 200").length - 1).toBe(received.length);
  socket.destroy();
  const answers = heard.split("HTTP/1.1 200").slice(1);
  return answers.map((answer) => answer.slice(answer.indexOf("\r\n\r\n") + 4));
};

describe.skipIf(document.missing)(`paths of Istio's tests over the wire${document.note}`, () => {
  test.each(document.read()?.normalization ?? [])("with $type handlers are given what Istio forwards", async (mode) => {
    const forwarded = await forwardedBy(
      mode.pairs.map(([received]) => received),
      { pathNormalization: modes[mode.type] },
    );
    expect(forwarded).toEqual(mode.pairs.map(([, path]) => path));
  });
});

test("where nothing is said handlers are given what the rules compare, and the query as it came", async () => {
  const received = ["//a/./b/../%63%2fd?x=/../y//z", "/e\\f", "/g#h?i"];
  expect(await forwardedBy(received, {})).toEqual(["/a/c%2Fd?x=/../y//z", "/e/f", "/g"]);
});
