import { createTestIssuer } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { startKeyServer } from "./support/key-server.ts";
import { runScript } from "./support/run-script.ts";

const issuer = createTestIssuer();

/** Says whether the library that checks signatures was loaded, with a policy for the process. */
const loads = (jwt: readonly unknown[] | undefined) =>
  runScript(
    `
    import { registerHooks } from "node:module";
    const asked = [];
    registerHooks({ resolve: (name, context, next) => (asked.push(name), next(name, context)) });
    const { createMesh } = await import("tulle");
    const jwt = JSON.parse(process.env.RULES);
    createMesh({
      policies: [{ kind: "Service", name: "reviews" }, { kind: "Authentication", name: "users", mtls: {}, ...(jwt ? { jwt } : {}) }],
      endpoints: {},
      service: "reviews",
    });
    await new Promise((resolve) => setImmediate(resolve));
    console.log(asked.includes("jose"));
  `,
    { env: { RULES: JSON.stringify(jwt ?? null) } },
  );

describe("a process", () => {
  test("without rules about tokens does not load what checks signatures", async () => {
    expect(await loads(undefined)).toEqual({ code: 0, printed: "false" });
  });

  test("with such rules loads it when the policy comes", async () => {
    expect(await loads([{ issuer: issuer.issuer, jwks: issuer.jwks }])).toEqual({ code: 0, printed: "true" });
  });

  test("that has fetched keys ends when its work is done", async () => {
    await using keys = await startKeyServer({ keys: [issuer.jwk] });
    const end = await loads([{ issuer: issuer.issuer, jwksUri: keys.uri }]);
    expect(end.code).toBe(0);
  });
});
