import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  X509Certificate as NodeCertificate,
  webcrypto,
} from "node:crypto";
import { configServerIdentity } from "@tulle/protocol";
import { type Clock, Watchable } from "@tulle/time";
import type { Authority, RootRotation } from "./authority.ts";
import {
  type AuthorityState,
  bundleOf,
  FIRST_KEY_FILE,
  type RootRecord,
  readAuthorityState,
  writeAuthorityState,
} from "./authority-state.ts";
import { type GivenAuthority, type ReadAuthority, readGivenAuthority } from "./given-authority.ts";
import { certificatesIn, createIssuer, type Issuer, isSelfSigned, pemOf, subjectOf } from "./issuer.ts";
import type { KeyStore } from "./key-store.ts";
import { proveChain } from "./prove-chain.ts";
import { abort, activate, distribute, makeActive, phaseOf, prepare, retire, rootIn } from "./rotation.ts";
import { keySigner } from "./signer.ts";
import {
  DEFAULT_CERTIFICATE_TTL_MS,
  leafValidity,
  randomSerial,
  rootExtensions,
  rootValidity,
  serverExtensions,
  svidExtensions,
} from "./template.ts";
import { type KnownIssuers, verifySvid } from "./verify-svid.ts";
import { SubjectKeyIdentifierExtension, X509CertificateGenerator } from "./x509.ts";

/** What a CA is opened with. */
export interface AuthorityOptions {
  readonly keyStore: KeyStore;
  /** Such as `cluster.local`. */
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Life of a leaf. @default 24 h */
  readonly certificateTtlMs?: number;
  /** The user's own issuing CA. @default a root of our own */
  readonly certificateAuthority?: GivenAuthority;
  /** Further roots of our trust domain that members trust, PEM. @default none */
  readonly trustRoots?: string;
}

const DEFAULT_SIGN_TIMEOUT_MS = 10_000;

/** Of a CA's life, how much is left when people are told. */
const WARNED_SHARE = 0.2;

/**
 * Opens the mesh's CA: the given one, or our own, whose self-signed root (ECDSA P-256, 3650 days) is made on the first start.
 *
 * @throws Error when the key store holds a root without its key, a key that does not fit, or a root of another trust domain;
 * when a given CA does not fit together, its chain is not good for leaves, or its root was never distributed.
 */
export const openAuthority = async (options: AuthorityOptions): Promise<Authority> => {
  const { keyStore, trustDomain, clock, certificateTtlMs = DEFAULT_CERTIFICATE_TTL_MS } = options;
  const limits = { clock, timeoutMs: options.certificateAuthority?.signTimeoutMs ?? DEFAULT_SIGN_TIMEOUT_MS };
  const trusted = certificatesIn(options.trustRoots ?? "");
  const given = options.certificateAuthority && readGivenAuthority(options.certificateAuthority, trusted);

  const opened = await openState(options, given);
  let state = withTrustRoots(opened, trusted, clock.wallNow());
  state = given === undefined ? state : withGiven(state, given, opened.roots, clock.wallNow());
  state = forgetEnded(withLeafLife(state, certificateTtlMs), clock.wallNow());

  /** The CA on a root whose key is ours. */
  const ownIssuer = async (root: RootRecord | undefined): Promise<Issuer> => {
    if (root?.keyFile === undefined) {
      throw new Error(
        "the CA of this state folder was given to the config-server: start it with that certificateAuthority again",
      );
    }
    const key = await keyStore.read(root.keyFile);
    if (key === undefined) throw new Error(`the state folder holds no ${root.keyFile}: restore it from a backup`);
    const certificate = new NodeCertificate(root.certificate);
    return createIssuer([certificate], keySigner(checkedKey(key, root, certificate)), limits);
  };

  const issuerOf = async (root: RootRecord | undefined): Promise<Issuer & { readonly root: string }> => {
    const isGiven = given !== undefined && root?.state === "active";
    const found = isGiven ? createIssuer(given.chain, given.signer, limits) : await ownIssuer(root);
    return { ...found, root: root?.id ?? "" };
  };

  /** The config-server's own certificate stays under the old root until that retires: see docs/certificates.md. */
  const servingRoot = (of: AuthorityState): RootRecord | undefined => {
    const old = rootIn(of, "retiring");
    return old?.keyFile === undefined || notAfterOf(old) <= clock.wallNow() ? rootIn(of, "active") : old;
  };

  let issuer = await issuerOf(rootIn(state, "active"));
  let server = await issuerOf(servingRoot(state));
  let known = knownIssuers(state);
  if (given !== undefined) await proveGiven(issuer, state, trustDomain, clock);
  await writeAuthorityState(keyStore, state);

  const bundles = new Watchable({ trustDomain, ...trustOf(state) });
  const take = async (next: AuthorityState): Promise<void> => {
    // Written first: a crash right behind it finds the step done.
    await writeAuthorityState(keyStore, next);
    issuer = await issuerOf(rootIn(next, "active"));
    server = await issuerOf(servingRoot(next));
    known = knownIssuers(next);
    state = next;
    bundles.set({ trustDomain, ...trustOf(next) });
  };
  // One step after the other, each on what the one before left.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const done = last.then(step);
    last = done.catch(() => undefined);
    return done;
  };

  const rotation: RootRotation = {
    get phase() {
      return phaseOf(state);
    },
    get roots() {
      return state.roots;
    },
    prepare: () =>
      inTurn(async () => {
        const { root, key } = await newRoot(trustDomain, clock, certificateTtlMs);
        const record: RootRecord = { ...root, keyFile: `ca-key-${root.id}.pem` };
        const next = prepare(state, record);
        await keyStore.write(`ca-key-${root.id}.pem`, key);
        await take(next);
        return record;
      }),
    distribute: () => inTurn(() => take(distribute(state, clock.wallNow()))),
    activate: () => inTurn(() => take(activate(state, clock.wallNow()))),
    retire: (force) => inTurn(() => forgetting(retire(state, clock.wallNow(), force))),
    abort: () => inTurn(() => forgetting(abort(state))),
  };
  /** Takes a state with fewer roots; their keys go once nothing names them. */
  const forgetting = async (next: AuthorityState): Promise<void> => {
    const gone = state.roots.filter((root) => !next.roots.includes(root));
    await take(next);
    for (const { keyFile } of gone) if (keyFile !== undefined) await keyStore.remove(keyFile);
  };

  return {
    trustDomain,
    get bundle() {
      return bundles.current;
    },
    bundles,
    get pins(): readonly [string, ...string[]] {
      const first = servingRoot(state);
      const others = state.roots.filter((root) => root !== first && root.state !== "prepared");
      return [pinOf(first?.certificate ?? ""), ...others.map(({ certificate }) => pinOf(certificate))];
    },
    rotation,
    issueSvid: async ({ publicKey, spiffeId }) => {
      const by = issuer;
      const life = leafValidity(clock.wallNow(), certificateTtlMs, by.notAfterMs);
      const { pem, serial } = await by.sign({ publicKey, life, extensions: svidExtensions(spiffeId) });
      return { chain: [pem, ...by.intermediates].join(""), notAfterMs: life.notAfterMs, serial, root: by.root };
    },
    issueServerCertificate: async (hosts) => {
      const by = server;
      const root = servingRoot(state)?.certificate ?? "";
      const life = leafValidity(clock.wallNow(), certificateTtlMs, by.notAfterMs);
      const { privateKey, publicKey } = newKeyPair();
      const extensions = serverExtensions(configServerIdentity(trustDomain), hosts);
      const { pem } = await by.sign({ publicKey, life, extensions });
      return { chain: [pem, ...by.intermediates, root].join(""), privateKey, notAfterMs: life.notAfterMs };
    },
    verifySvid: (certificate) => verifySvid(certificate, known, trustDomain, clock.wallNow()),
    warnings: () => warningsOf(issuer, state, clock.wallNow()),
    close: () => bundles.close(),
  };
};

const openState = async (options: AuthorityOptions, given: ReadAuthority | undefined): Promise<AuthorityState> => {
  const { keyStore, trustDomain, clock, certificateTtlMs = DEFAULT_CERTIFICATE_TTL_MS } = options;
  const stored = await readAuthorityState(keyStore);
  if (stored !== undefined) {
    const state = "bundle" in stored ? adopted(stored.bundle, trustDomain, certificateTtlMs, clock.wallNow()) : stored;
    if (state.trustDomain !== trustDomain) {
      throw new Error(
        `the CA in the state folder belongs to "spiffe://${state.trustDomain}", not to the trust domain "${trustDomain}": start with that trust domain, or with an empty state folder`,
      );
    }
    return state;
  }
  if (given !== undefined) return { trustDomain, roots: [], intermediates: [] };
  const { root, key } = await newRoot(trustDomain, clock, certificateTtlMs);
  await keyStore.write(FIRST_KEY_FILE, key);
  return { trustDomain, roots: [{ ...root, keyFile: FIRST_KEY_FILE, state: "active" }], intermediates: [] };
};

/** The roots that an earlier version kept in one file, the issuing one first. */
const adopted = (bundle: string, trustDomain: string, leafMs: number, nowMs: number): AuthorityState => {
  const roots = certificatesIn(bundle);
  const [issuing] = roots;
  if (issuing === undefined) throw new Error("ca.pem in the state folder holds no certificate");
  const domain = issuing.subjectAltName?.replace(/^URI:spiffe:\/\//, "") ?? trustDomain;
  return {
    trustDomain: domain,
    roots: roots.map((root) => ({
      ...recordOf(root, nowMs, leafMs),
      ...(root === issuing ? { keyFile: FIRST_KEY_FILE, state: "active" as const } : {}),
    })),
    intermediates: [],
  };
};

const recordOf = (certificate: NodeCertificate, nowMs: number, longestLeafMs: number): RootRecord => ({
  id: rootId(certificate),
  certificate: pemOf(certificate),
  state: "distributing",
  sinceMs: nowMs,
  longestLeafMs,
});

/** Roots that are only trusted come and go with the option; one that signs, or signed, stays. */
const withTrustRoots = (state: AuthorityState, trusted: readonly NodeCertificate[], nowMs: number): AuthorityState => {
  const wanted = new Map(trusted.map((each) => [rootId(each), each]));
  const kept = state.roots.filter(
    ({ id, state: standing, keyFile }) => standing !== "distributing" || keyFile !== undefined || wanted.has(id),
  );
  const added = [...wanted]
    .filter(([id]) => !kept.some((root) => root.id === id))
    .map(([, certificate]) => {
      if (!certificate.ca || !isSelfSigned(certificate)) {
        throw new Error(`trustRoots holds ${subjectOf(certificate)}, which is no root certificate`);
      }
      return recordOf(certificate, nowMs, 0);
    });
  return { ...state, roots: [...kept, ...added] };
};

/** Makes a given CA the one that signs. Its root must have been trusted before, or members would not know their peers. */
const withGiven = (
  state: AuthorityState,
  { root, chain }: ReadAuthority,
  before: readonly RootRecord[],
  nowMs: number,
): AuthorityState => {
  const id = rootId(root);
  if (before.length > 0 && !before.some((each) => each.id === id && each.state !== "prepared")) {
    throw new Error(
      `the given certificateAuthority leads to the root ${id}, which members have never been told of: start once with the old CA and that root in trustRoots, wait until \`tulle certificates rotate status\` says that all members trust it, then give the CA`,
    );
  }
  const present = state.roots.some((each) => each.id === id);
  const roots = present ? state.roots : [...state.roots, recordOf(root, nowMs, 0)];
  const alone: AuthorityState = {
    ...state,
    roots: roots.filter((each) => each.id === id || each.state !== "prepared"),
  };
  const active = rootIn(alone, "active")?.id === id ? alone : makeActive(alone, id, nowMs);
  const issuing = chain.filter((each) => each !== root).map(pemOf);
  const longestMs = Math.max(0, ...active.roots.map(({ longestLeafMs }) => longestLeafMs));
  return {
    ...active,
    intermediates: [
      ...issuing.map((certificate) => ({ certificate })),
      ...state.intermediates
        .filter(({ certificate }) => !issuing.includes(certificate))
        .map((each) => ({ leavesUntilMs: nowMs + longestMs, ...each })),
    ],
  };
};

/** Leaves under the active root may live this long from now on. */
const withLeafLife = (state: AuthorityState, leafMs: number): AuthorityState => ({
  ...state,
  roots: state.roots.map((root) =>
    root.state === "active" ? { ...root, longestLeafMs: Math.max(root.longestLeafMs, leafMs) } : root,
  ),
});

const forgetEnded = (state: AuthorityState, nowMs: number): AuthorityState => ({
  ...state,
  intermediates: state.intermediates.filter(
    ({ leavesUntilMs }) => leavesUntilMs === undefined || leavesUntilMs > nowMs,
  ),
});

const trustOf = (state: AuthorityState) => ({
  roots: bundleOf(state),
  ...(state.intermediates.length === 0
    ? {}
    : { intermediates: state.intermediates.map(({ certificate }) => certificate) }),
});

const knownIssuers = (state: AuthorityState): KnownIssuers => ({
  roots: state.roots
    .filter((root) => root.state !== "prepared")
    .map(({ id, certificate }) => ({ id, certificate: new NodeCertificate(certificate) })),
  intermediates: state.intermediates.map(({ certificate }) => new NodeCertificate(certificate)),
});

/** A leaf as members will get it must be good for its peers: better found here than by every member. */
const proveGiven = async (issuer: Issuer, state: AuthorityState, trustDomain: string, clock: Clock): Promise<void> => {
  const { privateKey, publicKey } = newKeyPair();
  const extensions = svidExtensions(configServerIdentity(trustDomain));
  // OpenSSL looks at the real clock, whatever ours says.
  const life = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 60_000 };
  leafValidity(clock.wallNow(), 60_000, issuer.notAfterMs);
  const { pem } = await issuer.sign({ publicKey, life, extensions });
  const chain = [pem, ...issuer.intermediates].join("");
  try {
    await proveChain({ chain, privateKey, roots: bundleOf(state) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the given certificateAuthority cannot sign for the trust domain ${trustDomain}: a certificate below it is refused as ${why} (path length, name constraints, key usage and times of its chain count)`,
      { cause: error },
    );
  }
};

const newRoot = async (
  trustDomain: string,
  clock: Clock,
  longestLeafMs: number,
): Promise<{ readonly root: RootRecord; readonly key: string }> => {
  const { privateKey, publicKey } = newKeyPair();
  const life = rootValidity(clock.wallNow());
  const keys = await webcryptoPair(privateKey, publicKey);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    // Roots that follow one another differ by name too, so that people can tell them apart.
    name: `O=Tulle, CN=${trustDomain} root ${spkiId(publicKey).slice(0, 8)}`,
    notBefore: new Date(life.notBeforeMs),
    notAfter: new Date(life.notAfterMs),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [...rootExtensions(trustDomain), await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  const pem = `${certificate.toString("pem")}\n`;
  const root: RootRecord = {
    id: spkiId(publicKey),
    certificate: pem,
    state: "prepared",
    sinceMs: clock.wallNow(),
    longestLeafMs,
  };
  return { root, key: privateKey };
};

const newKeyPair = (): { readonly privateKey: string; readonly publicKey: Uint8Array } =>
  generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });

const webcryptoPair = async (privateKey: string, publicKey: Uint8Array): Promise<webcrypto.CryptoKeyPair> => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const der = new Uint8Array(Buffer.from(privateKey.replace(/-----[^-]+-----/g, ""), "base64"));
  return {
    privateKey: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
    publicKey: await webcrypto.subtle.importKey("spki", new Uint8Array(publicKey), algorithm, true, ["verify"]),
  };
};

const checkedKey = (key: string, { keyFile }: RootRecord, certificate: NodeCertificate): string => {
  if (certificate.checkPrivateKey(createPrivateKey(key))) return key;
  throw new Error(`${keyFile} in the state folder is not the key of its root certificate`);
};

const spkiOf = (certificate: NodeCertificate): Uint8Array =>
  certificate.publicKey.export({ type: "spki", format: "der" });

const spkiId = (spki: Uint8Array): string => createHash("sha256").update(spki).digest("hex").slice(0, 16);

const rootId = (certificate: NodeCertificate): string => spkiId(spkiOf(certificate));

const pinOf = (pem: string): string =>
  createHash("sha256")
    .update(spkiOf(new NodeCertificate(pem)))
    .digest("base64url");

const notAfterOf = ({ certificate }: RootRecord): number => new NodeCertificate(certificate).validToDate.getTime();

const warningsOf = (issuer: Issuer, state: AuthorityState, nowMs: number): readonly string[] => {
  const root = rootIn(state, "active");
  const chain = [issuer.certificate, ...(root === undefined ? [] : [new NodeCertificate(root.certificate)])];
  const ending = chain.find((each) => {
    const [fromMs, toMs] = [each.validFromDate.getTime(), each.validToDate.getTime()];
    return toMs - nowMs < WARNED_SHARE * (toMs - fromMs);
  });
  if (ending === undefined) return [];
  const what = isSelfSigned(ending) ? "root" : "intermediate";
  const remedy =
    root?.keyFile === undefined
      ? "give the config-server the one that follows it"
      : "begin with `tulle certificates rotate prepare`";
  return [
    `the issuing ${what} ${subjectOf(ending)} ends at ${ending.validToDate.toISOString()}, and no leaf outlives it: ${remedy}`,
  ];
};
