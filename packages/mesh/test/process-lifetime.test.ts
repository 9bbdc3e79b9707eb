import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { runScript } from "./support/run-script.ts";

test("a script that joins, calls once and ends does all of it, and its process exits without leave()", async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 100, v2: 0 }));
  await fixture.startMember({ service: "reviews" });
  const { code, printed } = await runScript(
    `
    import { joinMesh } from "tulle";
    const mesh = await joinMesh({ service: "productpage", readyTimeout: "10s" });
    const response = await mesh.fetch("http://reviews/reviews/7");
    console.log(response.status, (await response.json()).service);
  `,
    { env: { TULLE_SERVER: fixture.url, TULLE_TOKEN: await fixture.token("productpage") } },
  );
  expect(printed).toBe("200 reviews");
  expect(code).toBe(0);
});

test("a call that waits to be repeated keeps its process alive until it has failed", async () => {
  const { code, printed } = await runScript(`
    import { createMesh } from "tulle";
    const mesh = createMesh({ policies: [], endpoints: { reviews: ["127.0.0.1:1"] } });
    await mesh.fetch("http://reviews/").catch((error) => console.log(error.code, error.attempts.length));
  `);
  expect(printed).toBe("CONNECT_FAILED 3");
  expect(code).toBe(0);
});
