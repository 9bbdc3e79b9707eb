import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** What a test wants in a token beside what every good one has; `undefined` takes a claim away. */
export interface TokenWish {
  readonly claims?: { readonly [name in keyof JWTPayload]?: unknown };
  readonly algorithm?: string;
  readonly kid?: string;
  /** Signs in the issuer's place. */
  readonly key?: Parameters<SignJWT["sign"]>[0];
  readonly expiresInSeconds?: number;
}

/** An OpenID Connect issuer on a loopback port: discovery, keys that rotate, and tokens. */
export class OidcIssuerServer {
  /** Answers in place of the issuer, for a path. */
  readonly script = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  #keys: { readonly kid: string; readonly pair: GenerateKeyPairResult; readonly jwk: JWK }[] = [];
  #made = 0;

  static async start(): Promise<OidcIssuerServer> {
    const issuer = new OidcIssuerServer();
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    await issuer.rotate();
    return issuer;
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? "";
      this.asked.push(path);
      const scripted = this.script.get(path);
      if (scripted !== undefined) scripted(request, response);
      else if (path === "/.well-known/openid-configuration") {
        response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` }));
      } else if (path === "/keys") response.end(JSON.stringify({ keys: this.jwks }));
      else response.writeHead(404).end();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get jwks(): JWK[] {
    return this.#keys.map(({ jwk }) => jwk);
  }

  get kid(): string {
    return this.#keys.at(-1)?.kid ?? "";
  }

  /** A new key signs from now on; the one before it is still shown unless it is taken back. */
  async rotate(takeBack: boolean = false, algorithm: string = "RS256"): Promise<void> {
    this.#made += 1;
    const kid = `key-${this.#made}`;
    const pair = await generateKeyPair(algorithm, { extractable: true });
    const jwk = { ...(await exportJWK(pair.publicKey)), kid, use: "sig", alg: algorithm };
    this.#keys = [...(takeBack ? [] : this.#keys), { kid, pair, jwk }];
  }

  /** A token such as Kubernetes projects for `shop/ratings`, meant for `tulle`. */
  async token({ claims = {}, algorithm, kid, key, expiresInSeconds = 600 }: TokenWish = {}): Promise<string> {
    const last = this.#keys.at(-1)!;
    const now = Math.floor(Date.now() / 1_000);
    const payload = {
      iss: this.url,
      sub: "system:serviceaccount:shop:ratings",
      aud: ["tulle"],
      iat: now,
      nbf: now,
      exp: now + expiresInSeconds,
      jti: `token-${Math.random()}`,
      ...claims,
    };
    // Some are wrong on purpose.
    return new SignJWT(payload as JWTPayload)
      .setProtectedHeader({ alg: algorithm ?? last.jwk.alg ?? "RS256", kid: kid ?? last.kid })
      .sign(key ?? last.pair.privateKey);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
