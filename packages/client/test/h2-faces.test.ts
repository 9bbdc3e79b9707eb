import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { afterEach, beforeEach, describe } from "vitest";
import type { Client } from "../src/create-client.ts";
import { type Face, faceContract, faces } from "./face.contract.ts";
import { type FaceServer, serveFaces } from "./face-server.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";

const authority = await createTestAuthority("cluster.local");

const lowerCase = "HTTP/2 has no upper case in names";

/** What a face cannot do in HTTP/2 beyond what it cannot do at all. `node:http` writes HTTP/1.1, which members speak too. */
const inH2 = (face: Face): Face =>
  face.name.includes("agent")
    ? face
    : { ...face, cannot: { ...face.cannot, "raw headers": lowerCase, "repeated headers": lowerCase } };

describe.each(["plaintext", "mtls"] as const)("in HTTP/2 over %s", (transport) => {
  let server: FaceServer;
  let client: Client;

  beforeEach(async () => {
    const shown = await authority.issue({ serviceAccount: "reviews" });
    const tls = {
      key: shown.privateKey,
      cert: shown.certificateChain,
      ca: [authority.root],
      requestCert: true,
      rejectUnauthorized: true,
    };
    server = await serveFaces(transport === "plaintext" ? undefined : tls, true);
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    const endpoint = { ...endpointAt(server.port), transport };
    client = clientOf(snapshotOf({ reviews: { endpoints: [endpoint], policy: { protocol: "http2" } } }), {
      credentials,
    });
  });

  afterEach(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });

  for (const face of faces) faceContract(inH2(face), () => ({ server, client }));
});
