import { createServer } from "node:http";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

const listening = { port: 0, host: "127.0.0.1", signals: false };

test("instances tell their locality when they register, and callers prefer those of their zone", async () => {
  await using fixture = await startMesh([
    { kind: "Service", name: "productpage" },
    { kind: "Service", name: "reviews", locality: { mode: "failover" } },
  ]);
  for (const zone of ["a", "b"]) {
    const instance = await fixture.join({
      service: "reviews",
      instanceId: `reviews-${zone}`,
      locality: { region: "eu", zone },
    });
    await instance.listen(
      createServer((_request, response) => response.end(zone)),
      listening,
    );
  }
  expect((await fixture.admin.endpoints()).services).toMatchObject([
    {
      service: "default/reviews",
      endpoints: [{ locality: { region: "eu", zone: "a" } }, { locality: { region: "eu", zone: "b" } }],
    },
  ]);
  for (const zone of ["a", "b"]) {
    const caller = await fixture.join({
      service: "productpage",
      instanceId: `productpage-${zone}`,
      locality: { region: "eu", zone },
    });
    const answers = new Set<string>();
    for (let call = 0; call < 10; call++) answers.add(await (await caller.fetch("http://reviews/")).text());
    expect(answers).toEqual(new Set([zone]));
  }
});
