import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { afterEach, beforeEach, describe } from "vitest";
import type { Client } from "../src/create-client.ts";
import { faceContract, faces } from "./face.contract.ts";
import { type FaceServer, serveFaces } from "./face-server.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";

const authority = await createTestAuthority("cluster.local");

describe.each(["plaintext", "mtls"] as const)("over %s", (transport) => {
  let server: FaceServer;
  let client: Client;

  beforeEach(async () => {
    const shown = await authority.issue({ serviceAccount: "reviews" });
    server = await serveFaces(
      transport === "plaintext"
        ? undefined
        : {
            key: shown.privateKey,
            cert: shown.certificateChain,
            ca: [authority.root],
            requestCert: true,
            rejectUnauthorized: true,
          },
    );
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    const endpoint = { ...endpointAt(server.port), transport };
    client = clientOf(snapshotOf({ reviews: { endpoints: [endpoint] } }), { credentials });
  });

  afterEach(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });

  for (const face of faces) faceContract(face, () => ({ server, client }));
});
