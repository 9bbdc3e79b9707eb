import { isIP } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { Credentials, EffectiveOutsideTls, Endpoint } from "@tulle/policy";
import { LRUCache } from "lru-cache";

/** Contexts that are kept: one for each text of roots and generation of credentials; beyond, one is made anew. */
export const MAX_TLS_CONTEXTS = 100;

/** The calling side of TLS to whoever is no member: the peer proves the name of a host. */
export class OutsideTlsDialler {
  readonly #contexts = new LRUCache<string, SecureContext>({ max: MAX_TLS_CONTEXTS });
  readonly #defaultRoots: readonly string[] | undefined;
  #generation: Credentials | undefined;
  #generations = 0;

  /** @param defaultRoots PEM, where the policy names none; `undefined`: those that Node.js trusts. */
  constructor(defaultRoots: readonly string[] | undefined) {
    this.#defaultRoots = defaultRoots;
  }

  /**
   * Starts a handshake.
   *
   * @param credentials shown where TLS is mutual.
   * @throws Error when roots or credentials cannot be read.
   */
  open(
    endpoint: Endpoint,
    tls: EffectiveOutsideTls,
    credentials: Credentials | undefined,
    alpn: readonly string[],
  ): TLSSocket {
    const { address, port } = endpoint;
    const name = endpoint.servername ?? tls.sni ?? address;
    return connect({
      host: address,
      port,
      // RFC 6066 allows no addresses.
      servername: isIP(name) === 0 ? name : "",
      secureContext: this.#context(tls, credentials),
      rejectUnauthorized: true,
      checkServerIdentity: (_host, certificate) => wrongNames(name, tls.subjectAltNames, certificate),
      ALPNProtocols: [...alpn],
    });
  }

  #context({ ca, mutual }: EffectiveOutsideTls, credentials: Credentials | undefined): SecureContext {
    if (mutual && credentials !== this.#generation) {
      this.#generation = credentials;
      this.#generations++;
    }
    const key = `${mutual ? this.#generations : ""} ${ca ?? ""}`;
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const roots = ca ?? this.#defaultRoots;
    const made = createSecureContext({
      minVersion: "TLSv1.2",
      ...(roots === undefined ? {} : { ca: typeof roots === "string" ? roots : [...roots] }),
      ...(mutual && credentials !== undefined
        ? { key: credentials.privateKey, cert: credentials.certificateChain }
        : {}),
    });
    this.#contexts.set(key, made);
    return made;
  }
}

/** What is wrong with a certificate's names: it must hold one of `names`, or the one that was asked for where none is given. */
const wrongNames = (asked: string, names: readonly string[], certificate: PeerCertificate): Error | undefined => {
  if (names.length === 0) return checkServerIdentity(asked, certificate);
  const uris = new Set((certificate.subjectaltname ?? "").split(", "));
  const errors = names.map((name) =>
    name.includes("://")
      ? uris.has(`URI:${name}`)
        ? undefined
        : noName(names, certificate)
      : checkServerIdentity(name, certificate),
  );
  return errors.includes(undefined) ? undefined : noName(names, certificate);
};

const noName = (names: readonly string[], { subjectaltname = "no name" }: PeerCertificate): Error =>
  Object.assign(new Error(`the certificate holds ${subjectaltname}, and none of ${names.join(", ")}`), {
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  });
