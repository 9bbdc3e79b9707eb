import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConfigServer } from "@tulle/config-server";
import { expect, test } from "vitest";
import { joinMesh } from "../src/index.ts";

const issuer = "https://kubernetes.default.svc.cluster.local";

test("a pod joins by its service account's token from a file, that a later join reads anew", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const tokenFor = (serviceAccount: string, lifeSeconds: number): string => {
    const now = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: issuer,
      sub: `system:serviceaccount:default:${serviceAccount}`,
      aud: ["tulle"],
      iat: now,
      exp: now + lifeSeconds,
    };
    const encoded = [{ alg: "RS256", kid: "k1" }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const text = encoded.join(".");
    return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  };
  const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig" }] };
  const server = await createConfigServer({
    port: 0,
    adminPort: 0,
    oidc: [{ issuer, audiences: ["tulle"], jwks }],
  });
  const folder = await mkdtemp(join(tmpdir(), "tulle-oidc-"));
  const [tokenFile, caFile] = [join(folder, "token"), join(folder, "ca.pem")];
  await writeFile(caFile, server.ca);
  await server.apply([{ kind: "Service", name: "reviews" }]);
  const member = { service: "reviews", server: server.url, tokenFile, caFile, random: () => 0.01 };

  await writeFile(tokenFile, tokenFor("reviews", -120));
  const early = joinMesh(member).then(async (mesh) => {
    await using joined = mesh;
    await joined.ready();
  });
  await expect(early).rejects.toMatchObject({
    code: "JOIN_REFUSED",
    message: expect.stringContaining("not valid now"),
  });

  await writeFile(tokenFile, `${tokenFor("reviews", 600)}\n`);
  await using mesh = await joinMesh(member);
  await mesh.ready();
  expect(mesh.status).toMatchObject({ state: "joined" });
  await mesh.leave();
  await server.close();
});
