import { expect, onTestFinished, test } from "vitest";
import { startTokenIssuer } from "../src/istio/token-issuer.ts";

test("the published key is named in the tokens, good and forged, and holds no secret", async () => {
  const issuer = await startTokenIssuer();
  onTestFinished(() => issuer.close());
  const { keys } = (await (await fetch(issuer.jwksUri)).json()) as { keys: Record<string, unknown>[] };
  expect(Object.keys(keys[0] ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
  for (const token of [issuer.issue("reader"), issuer.forge("reader")]) {
    const head: unknown = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString());
    expect(head).toEqual({ alg: "ES256", typ: "JWT", kid: keys[0]?.kid });
  }
});
