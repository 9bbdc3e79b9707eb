import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Somebody who signs tokens of end users and publishes the key that proves them. */
export interface TokenIssuer {
  /** Where the key set lies. */
  readonly jwksUri: string;
  /** A good token for a subject. */
  issue(subject: string): string;
  /** The like, signed by somebody else under the same key's name. */
  forge(subject: string): string;
  close(): Promise<void>;
}

const ISSUER = "visitors@bookinfo.example";
const KEY_ID = "visitors-1";
const LIFETIME_S = 600;

/** Serves the key set on a free port of loopback. */
export const startTokenIssuer = async (): Promise<TokenIssuer> => {
  const own = newKey();
  const stranger = newKey();
  const jwk = { ...own.publicKey.export({ format: "jwk" }), kid: KEY_ID, alg: "ES256", use: "sig" };
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // It listens on TCP, so its address has this shape.
  const { port } = server.address() as AddressInfo;
  return {
    jwksUri: `http://127.0.0.1:${port}/keys.json`,
    issue: (subject) => signed(subject, own.privateKey),
    forge: (subject) => signed(subject, stranger.privateKey),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const newKey = (): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } =>
  generateKeyPairSync("ec", { namedCurve: "P-256" });

const signed = (subject: string, key: KeyObject): string => {
  const nowS = Math.floor(Date.now() / 1_000);
  const head = encoded({ alg: "ES256", typ: "JWT", kid: KEY_ID });
  const claims = encoded({ iss: ISSUER, sub: subject, iat: nowS, exp: nowS + LIFETIME_S });
  const signature = sign("sha256", Buffer.from(`${head}.${claims}`), { key, dsaEncoding: "ieee-p1363" });
  return `${head}.${claims}.${signature.toString("base64url")}`;
};

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
