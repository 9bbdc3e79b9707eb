import { expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";

test.each([
  ["another one than the policy's is told, since callers follow the policy", 8080, 1],
  ["the policy's is no news", 9000, 0],
  ["none is no news", undefined, 0],
])("a service port: %s", async (_what, servicePort, warnings) => {
  const warned: string[] = [];
  await using mesh = createMesh({
    policies: [{ kind: "Service", name: "reviews", port: 9000 }],
    endpoints: {},
    service: "reviews",
    logger: { info: () => undefined, warn: (message) => void warned.push(message), error: () => undefined },
  });
  const port = servicePort === undefined ? {} : { servicePort };
  await mesh.listen((_request, response) => response.end(), { port: 0, host: "127.0.0.1", signals: false, ...port });
  expect(warned).toHaveLength(warnings);
  expect(warned.every((message) => message.includes("its Service policy says 9000"))).toBe(true);
});
