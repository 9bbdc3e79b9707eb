import { constants } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { createRequire } from "node:module";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { DEFAULT_TRUST_DOMAIN, type TrustBundle, workloadIdentity } from "@tulle/policy";
import type { ApplyResult, EndpointList, TokenIssued } from "@tulle/protocol";
import { type Clock, systemClock, type Timer, Watchable } from "@tulle/time";
import { adminToken, writeAdminFile } from "./admin/admin-file.ts";
import { createAdminHandler } from "./admin/admin-handler.ts";
import { openAdminTokens } from "./admin/admin-tokens.ts";
import { createPolicyAdmission } from "./admin/policy-admission.ts";
import { adminRoutes } from "./admin/routes.ts";
import { AUDIT_FILE, discardedAuditLog, openAuditFile } from "./audit/audit-log.ts";
import { withRefusalBudget } from "./audit/refusal-budget.ts";
import type { ServerCertificate } from "./authority/authority.ts";
import { openFederation } from "./authority/federation.ts";
import { memoryKeyStore, openFileKeyStore } from "./authority/key-store.ts";
import { openAuthority } from "./authority/open-authority.ts";
import { openRevocations } from "./authority/revocations.ts";
import { keepServerCertificate } from "./authority/server-certificate.ts";
import { createEnrollment } from "./enrollment/create-enrollment.ts";
import type { Evidence } from "./enrollment/enrollment.ts";
import { type JoinTokenRequest, openJoinTokens } from "./enrollment/join-token.ts";
import { checkIssuers, type OidcIssuer } from "./oidc/oidc-issuer.ts";
import { openOidcTokens } from "./oidc/oidc-tokens.ts";
import { readIssuers } from "./oidc/read-issuers.ts";
import {
  type ConfigServerOptions,
  certificateHosts,
  checkOptions,
  DEFAULT_ADMIN_PORT,
  DEFAULT_PORT,
  silentLogger,
} from "./options.ts";
import { createPushServer } from "./push/push-server.ts";
import { REGISTRY_HEAD } from "./registry/instance-table.ts";
import { openRegistry } from "./registry/registry.ts";
import { lockStateFolder } from "./state-folder-lock.ts";
import { renewEpoch } from "./store/epoch.ts";
import { MemoryStore } from "./store/memory-store.ts";
import { openPolicyStore, POLICY_HEAD } from "./store/revisioned-policy-store.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";
import type { StateStore } from "./store/state-store.ts";

/** A config-server that runs in this process. */
export interface ConfigServer {
  /** Where members connect, such as `wss://127.0.0.1:7117`. */
  readonly url: string;
  /** Such as `https://127.0.0.1:7118`. */
  readonly adminUrl: string;
  /** Of admin.json; another after `tulle admin rotate`. */
  readonly adminToken: string;
  /** Root certificates of the mesh, PEM; what a client of the admin API trusts. */
  readonly ca: string;
  /** SHA-256 of the root's SubjectPublicKeyInfo, base64url; join tokens carry it. */
  readonly pin: string;
  /** @throws RangeError when namespace or service account cannot stand in a SPIFFE ID. */
  createToken(request: Partial<JoinTokenRequest> & Pick<JoinTokenRequest, "serviceAccount">): Promise<TokenIssued>;
  /**
   * As `tulle apply`: all policies or none.
   *
   * @param policies plain values, as a file would hold them.
   * @throws PolicyError with every problem.
   */
  apply(policies: readonly unknown[], message?: string): Promise<ApplyResult>;
  /** Tells the members to reconnect later (1012), and frees everything. May be called again. */
  close(): Promise<void>;
}

/** Who acted, where the process itself did and not somebody with the admin token. */
const PROGRAM = "program";

const DEFAULT_TOKEN_TTL_MS = 3_600_000;

/** How long a peer may take to send a request's headers, and the whole of it. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** And to finish the TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Of a request's headers. */
const MAX_HEADER_BYTES = 16_384;

/** Open at a time, handshakes included; more are closed at once. */
const MAX_MEMBER_CONNECTIONS = 12_000;
const MAX_ADMIN_CONNECTIONS = 256;

/**
 * Starts a config-server: opens keys, CA, store, policies, registry, enrollment and push in this order, each on those before,
 * and listens last, so that nobody is answered by half a server. Closing goes the other way round: members are told, the
 * listeners end, then the state is closed.
 *
 * @throws RangeError for options out of range; StateFolderInUse when another config-server runs on the state folder; Error
 * when the folder or an address cannot be used.
 */
export const createConfigServer = async (options: ConfigServerOptions = {}): Promise<ConfigServer> => {
  checkOptions(options);
  const { stateDir, trustDomain = DEFAULT_TRUST_DOMAIN, clock = systemClock, random = Math.random } = options;
  const logger = options.logger ?? silentLogger;
  const software = softwareName();
  const onError = (error: unknown): void => logger.error({ err: error }, "the config-server failed at something");

  // Each step says how it is undone; an opening that fails half way, and a close, undo what was done in reverse.
  const undo: (() => unknown)[] = [];
  const unwind = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };

  try {
    if (stateDir !== undefined) {
      const lock = lockStateFolder(stateDir);
      undo.push(() => lock.release());
    }
    const files = stateDir === undefined ? memoryKeyStore() : await openFileKeyStore(stateDir);
    const keyStore = stateDir === undefined ? memoryKeyStore() : await openFileKeyStore(join(stateDir, "keys"));
    const audit = withRefusalBudget(
      stateDir === undefined ? discardedAuditLog : await openAuditFile(join(stateDir, AUDIT_FILE), clock),
      clock,
    );
    undo.push(() => audit.close());

    const authority = await openAuthority({
      keyStore,
      trustDomain,
      clock,
      ...ttl(options),
      ...givenAuthority(options),
    });
    undo.push(() => authority.close());
    const store = options.store ?? openOwnStore(stateDir, clock);
    if (store !== options.store) undo.push(() => store.close());
    if (options.newEpoch) {
      for (const head of [POLICY_HEAD, REGISTRY_HEAD]) await renewEpoch(store, head);
      await audit.record({ event: "epoch-renewed", actor: PROGRAM, detail: {} });
    }
    const policyStore = await openPolicyStore(store, clock);
    undo.push(() => policyStore.close());
    const federation = await openFederation({ store, clock, trustDomain, ownRoots: () => authority.bundle.roots });
    undo.push(() => federation.close());
    // Our own first.
    const allBundles = (): readonly TrustBundle[] => [authority.bundle, ...federation.bundles.current];
    const bundles = new Watchable(allBundles());
    undo.push(() => bundles.close());
    for (const part of [authority.bundles, federation.bundles]) {
      part.subscribe(() => bundles.set(allBundles()));
    }
    const revocations = await openRevocations({
      store,
      clock,
      trustDomain,
      longestLeafMs: () => Math.max(...authority.rotation.roots.map(({ longestLeafMs }) => longestLeafMs)),
    });
    undo.push(() => revocations.close());
    const registry = await openRegistry({ store, clock, policies: policyStore.head, leases: leases(options) });
    undo.push(() => registry.close());

    const tokens = await openJoinTokens({ store, keyStore, trustDomain, pins: () => authority.pins, clock });
    const issuers = await believedIssuers(options);
    const oidc = issuers.length === 0 ? undefined : openOidcTokens(issuers, clock);
    undo.push(() => oidc?.close());
    const enrollment = createEnrollment({
      authority,
      revocations,
      tokens,
      audit,
      clock,
      ...(oidc === undefined ? {} : { oidc }),
      ...(options.issueLimit === undefined ? {} : { issueLimit: options.issueLimit }),
    });
    const push = createPushServer({
      enrollment,
      policyStore,
      registry,
      bundles,
      revocations,
      clock,
      random,
      options: { software, onError, ...pings(options) },
    });
    const endpoints = (): EndpointList => registry.list();
    const admission = createPolicyAdmission({
      policyStore,
      trustDomain,
      audit,
      endpoints,
      members: () => push.members.list(),
      plaintextCallers: () => push.members.plaintextCallers(),
      wallNow: () => clock.wallNow(),
    });

    let token = await adminToken(files);
    const writeToken = (root: string): Promise<void> => writeAdminFile(files, { url: adminUrl, token: root, ca: ca() });
    const adminTokens = openAdminTokens({
      store,
      clock,
      root: token,
      keep: async (next) => {
        await writeToken(next);
        token = next;
      },
    });
    const routes = adminRoutes({
      trustDomain,
      policyStore,
      admission,
      members: push.members,
      tokens,
      adminTokens,
      audit,
      federation,
      certificates: {
        authority,
        revocations,
        clock,
        trustRevision: push.trustRevision,
        inStartGrace: () => registry.inStartGrace,
      },
      wallNow: () => clock.wallNow(),
      endpoints,
      status: () => ({
        software,
        revision: policyStore.head.current.revision,
        trustDomain,
        members: push.members.list().filter(({ connected }) => connected).length,
        inStartGrace: registry.inStartGrace,
        counters: { ...registry.counters(), ...push.counters(), ...enrollment.counters() },
      }),
    });

    undo.push(
      repeatDaily(clock, () => {
        for (const warning of authority.warnings()) logger.warn({}, warning);
      }),
    );

    const hosts = certificateHosts(options);
    const limits = limitsOf(options);
    const renewed = (next: ServerCertificate): void => {
      adminServer.setSecureContext({ ...tlsOf(next), secureOptions: limits.secureOptions });
      memberServer.setSecureContext({
        ...tlsOf(next),
        secureOptions: limits.secureOptions,
        minVersion: "TLSv1.3",
      });
    };
    const kept = await keepServerCertificate({ authority, hosts, clock, onRenew: renewed, onError });
    undo.push(() => kept.close());

    const adminServer = createServer(
      { ...tlsOf(kept.current), ...limits },
      createAdminHandler({ routes, tokens: adminTokens, hosts, audit, onError }),
    );
    // Whether a certificate or a token counts is enrollment's decision, so TLS lets both kinds of member in.
    const memberServer = createServer(
      // With TLS 1.3, which docs/protocol.md asks for, a member's certificate travels encrypted.
      { ...tlsOf(kept.current), ...limits, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: false },
      answerNonMember,
    );
    memberServer.on("upgrade", (request, socket, head) =>
      push.handleUpgrade(request, socket, head, evidenceOf(request)),
    );

    // Beyond the members that are served: those that shake hands, or are being refused.
    memberServer.maxConnections = MAX_MEMBER_CONNECTIONS;
    adminServer.maxConnections = MAX_ADMIN_CONNECTIONS;

    undo.push(() => closeListener(adminServer));
    const adminAddress = await listen(adminServer, options.adminPort ?? DEFAULT_ADMIN_PORT, options.adminHost);
    undo.push(() => closeListener(memberServer));
    undo.push(() => push.close());
    const address = await listen(memberServer, options.port ?? DEFAULT_PORT, options.host);

    // Before they listen, an error is the caller's; after it, one connection's trouble must not end the process.
    for (const server of [adminServer, memberServer]) server.on("error", onError);

    const url = `wss://${address}`;
    const adminUrl = `https://${adminAddress}`;
    const ca = (): string => authority.bundle.roots.join("");
    await writeToken(token);
    authority.bundles.subscribe(() => {
      // The listeners follow at once: what they show must lead to a root that is still in the bundle.
      kept.renewNow();
      writeToken(token).catch(onError);
    });
    logger.info(
      { url, adminUrl, trustDomain, revision: policyStore.head.current.revision },
      "the config-server serves",
    );

    let closing: Promise<void> | undefined;
    return {
      url,
      adminUrl,
      get adminToken() {
        return token;
      },
      get ca() {
        return ca();
      },
      get pin() {
        return authority.pins[0];
      },
      createToken: async ({ serviceAccount, namespace = "default", ttlMs = DEFAULT_TOKEN_TTL_MS, uses = "single" }) => {
        const identity = workloadIdentity(trustDomain, namespace, serviceAccount);
        const issued = await tokens.create({ serviceAccount, namespace, ttlMs, uses });
        await audit.record({ event: "token-created", actor: PROGRAM, detail: { token: issued.id, identity, uses } });
        return issued;
      },
      apply: (policies, message = "") =>
        admission.apply({ policies, dryRun: false, prune: false, message, author: PROGRAM }),
      close: () => {
        closing ??= unwind();
        return closing;
      },
    };
  } catch (error) {
    await unwind();
    throw error;
  }
};

const DAY_MS = 24 * 3_600_000;

/** Does something now and once a day; returns the way to stop. */
const repeatDaily = (clock: Clock, work: () => void): (() => void) => {
  let timer: Timer;
  const again = (): void => {
    work();
    timer = clock.after(DAY_MS, again);
  };
  again();
  return () => timer.cancel();
};

const openOwnStore = (stateDir: string | undefined, clock: Clock): StateStore =>
  stateDir === undefined ? new MemoryStore(clock) : openSqliteStore(join(stateDir, "state.db"), clock);

const believedIssuers = async ({ oidc = [], oidcFile }: ConfigServerOptions): Promise<readonly OidcIssuer[]> =>
  // Checked together: an issuer that both name would have two answers.
  checkIssuers([...oidc, ...(oidcFile === undefined ? [] : await readIssuers(oidcFile))]);

/** How often Node looks for connections whose time is over; its own default of 30 s would be the true limit. */
const CHECK_INTERVAL_MS = 1_000;

const limitsOf = ({ connectionTimeouts = {} }: ConfigServerOptions) => {
  const headersTimeout = connectionTimeouts.headersMs ?? HEADERS_TIMEOUT_MS;
  const requestTimeout = connectionTimeouts.requestMs ?? REQUEST_TIMEOUT_MS;
  return {
    handshakeTimeout: connectionTimeouts.handshakeMs ?? HANDSHAKE_TIMEOUT_MS,
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersTimeout / 2),
    maxHeaderSize: MAX_HEADER_BYTES,
    // A resumed session is not the one whose certificate was looked at; members never resume theirs either.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
};

const tlsOf = ({ chain, privateKey }: ServerCertificate) => ({
  cert: chain,
  key: privateKey,
  minVersion: "TLSv1.2" as const,
});

const ttl = ({ certificateTtlMs }: ConfigServerOptions) => (certificateTtlMs === undefined ? {} : { certificateTtlMs });

const givenAuthority = ({ certificateAuthority, trustRoots }: ConfigServerOptions) => ({
  ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
  ...(trustRoots === undefined ? {} : { trustRoots }),
});

const leases = ({ startGraceMs, disconnectGraceMs }: ConfigServerOptions) => ({
  ...(startGraceMs === undefined ? {} : { startGraceMs }),
  ...(disconnectGraceMs === undefined ? {} : { reconnectGraceMs: disconnectGraceMs }),
});

const pings = ({ pingIntervalMs }: ConfigServerOptions) => (pingIntervalMs === undefined ? {} : { pingIntervalMs });

const evidenceOf = ({ headers, socket }: IncomingMessage): Evidence => ({
  authorization: headers.authorization,
  certificate: socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined,
  address: socket.remoteAddress,
});

const answerNonMember = (request: IncomingMessage, response: ServerResponse): void => {
  const healthy = request.url === "/healthz";
  const text = JSON.stringify(healthy ? { status: "serving" } : { error: "upgrade-required" });
  response.writeHead(healthy ? 200 : 426, {
    "content-type": "application/json",
    ...(healthy ? {} : { upgrade: "websocket" }),
  });
  response.end(text);
};

const listen = async (server: Server, port: number, host = "127.0.0.1"): Promise<string> => {
  server.listen(port, host);
  await once(server, "listening");
  const bound = server.address();
  // A server that listens on a port has an address object.
  if (bound === null || typeof bound === "string") throw new Error("the server has no port");
  const dialled = bound.address === "0.0.0.0" ? "127.0.0.1" : bound.address === "::" ? "::1" : bound.address;
  return isIPv6(dialled) ? `[${dialled}]:${bound.port}` : `${dialled}:${bound.port}`;
};

const closeListener = async (server: Server): Promise<void> => {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
};

const softwareName = (): string => {
  const manifest: { readonly version: string } = createRequire(import.meta.url)("../package.json");
  return `tulle/${manifest.version}`;
};
