import type { Endpoint, Policy, PolicyKey, PolicyKind, PolicyProblem, ServiceKey } from "@tulle/policy";
import type { Revision, Stream } from "./stream.ts";

export type { PolicyProblem };

/**
 * The admin API, on loopback, TLS, `authorization: Bearer <admin token>`:
 *
 * | request | answer |
 * |---|---|
 * | `POST /v1/apply` {@link ApplyRequest} | {@link ApplyResult}; 422 {@link AdminProblems} |
 * | `GET /v1/policies?kind=&namespace=&name=` | {@link PolicyList} |
 * | `POST /v1/delete` {@link DeleteRequest} | {@link ApplyResult} |
 * | `GET /v1/history?limit=` | {@link History} |
 * | `POST /v1/rollback` {@link RollbackRequest} | {@link ApplyResult} |
 * | `GET /v1/revisions/:revision/acknowledgement?timeout=30s` | {@link Acknowledgement}, when all live members have answered or the time is over |
 * | `GET /v1/members` | {@link MemberList} |
 * | `GET /v1/endpoints` | {@link EndpointList} |
 * | `GET /v1/plaintext?service=&since=1h` | {@link PlaintextReport} |
 * | `POST /v1/tokens` {@link TokenRequest} | {@link TokenIssued} |
 * | `GET /v1/tokens` | {@link TokenList} |
 * | `DELETE /v1/tokens/:id` | 204 |
 * | `POST /v1/admin-tokens` {@link AdminTokenRequest} | {@link AdminTokenIssued} |
 * | `GET /v1/admin-tokens` | {@link AdminTokenList} |
 * | `DELETE /v1/admin-tokens/:id` | 204 |
 * | `POST /v1/admin-tokens/rotate` `{}` | {@link AdminFileRotated} |
 * | `POST /v1/certificates/renew` {@link RenewRequest} | {@link RenewResult} |
 * | `GET /v1/certificates/rotation` | {@link RotationStatus} |
 * | `POST /v1/certificates/rotation/:step` {@link RotationRequest}; steps are `prepare`, `distribute`, `activate`, `retire`, `abort` | {@link RotationStatus}; 409 when the step does not come next, or members hold it back |
 * | `POST /v1/certificates/revocations` {@link RevocationRequest} | {@link RevocationEntry}; 409 when the list is full |
 * | `GET /v1/certificates/revocations` | {@link RevocationEntries} |
 * | `DELETE /v1/certificates/revocations/:serial-or-id` | 204 |
 * | `GET /v1/federation` | {@link FederationList} |
 * | `POST /v1/federation` {@link FederationRequest} | {@link FederatedDomain}; 400 for a bundle that is refused |
 * | `DELETE /v1/federation/:trust-domain` | 204 |
 * | `GET /v1/bundle` | {@link BundleExport} |
 * | `GET /v1/status` | {@link ServerStatus} |
 *
 * Errors answer {@link AdminError} with a fitting status.
 */
export interface ApplyRequest {
  readonly policies: readonly Policy[];
  /** Check and tell what would change, change nothing. @default false */
  readonly dryRun?: boolean;
  /** Delete what is not in `policies`, within the namespaces that it names. @default false */
  readonly prune?: boolean;
  /** For the history. */
  readonly message?: string;
}

export interface PolicyChange {
  readonly key: PolicyKey;
  readonly change: "created" | "updated" | "deleted" | "unchanged";
}

export interface ApplyResult {
  /** The revision that holds the result; the present one when nothing changed. */
  readonly revision: Revision;
  readonly changes: readonly PolicyChange[];
  readonly warnings: readonly string[];
}

export interface AdminProblems {
  readonly error: "invalid-policies";
  readonly problems: readonly PolicyProblem[];
}

export interface AdminError {
  readonly error: string;
  readonly message: string;
}

export interface PolicyList {
  readonly revision: Revision;
  readonly policies: readonly Policy[];
}

export interface DeleteRequest {
  readonly keys: readonly {
    readonly kind: PolicyKind;
    readonly namespace?: string;
    readonly name: string;
  }[];
}

export interface HistoryEntry {
  readonly revision: Revision;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly author: string;
  readonly message: string;
  readonly changes: readonly PolicyChange[];
}

export interface History {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
}

export interface RollbackRequest {
  /** A revision of the history, or its number. The content of that revision becomes a new revision. */
  readonly revision: string;
}

export interface Acknowledgement {
  readonly revision: Revision;
  readonly complete: boolean;
  readonly acknowledged: readonly string[];
  readonly refused: readonly {
    readonly member: string;
    readonly reason: string;
  }[];
  readonly pending: readonly string[];
}

export interface MemberStatus {
  readonly id: string;
  readonly service: ServiceKey;
  readonly spiffeId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly software: string;
  readonly protocol: number;
  /** What it said in its hello that it can do. */
  readonly features: readonly string[];
  readonly connected: boolean;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** What it last acknowledged, by stream. */
  readonly revisions: Readonly<Partial<Record<Stream, Revision>>>;
  /** What it last refused and has not since made good, by stream. */
  readonly refusals: Readonly<Partial<Record<Stream, { readonly revision: Revision; readonly reason: string }>>>;
  readonly subscriptions: readonly ServiceKey[];
  /** Expiry of the certificate that it showed, or got since. */
  readonly certificateNotAfterMs?: number;
  /** Its serial number, hexadecimal. */
  readonly certificateSerial?: string;
  /** Id of the root that it leads to. */
  readonly certificateRoot?: string;
}

export interface MemberList {
  readonly revision: Revision;
  readonly members: readonly MemberStatus[];
}

export interface EndpointList {
  readonly services: readonly {
    readonly service: ServiceKey;
    readonly endpoints: readonly (Endpoint & { readonly owner: string })[];
  }[];
}

export interface PlaintextReport {
  /** By service, the most recent first. */
  readonly callers: readonly {
    /** The service that was called. */
    readonly service: ServiceKey;
    readonly address: string;
    /** As it calls itself; nobody vouches for it. */
    readonly userAgent?: string;
    readonly transport: "plaintext" | "tls";
    /** Services of which an instance is registered at the address; several where they share a machine. */
    readonly from: readonly ServiceKey[];
    readonly requests: number;
    /** Milliseconds since 1970. */
    readonly lastSeenMs: number;
    /** The members that it called. */
    readonly members: readonly string[];
  }[];
}

export interface TokenRequest {
  readonly namespace?: string;
  /** The identity that whoever presents the token may get. */
  readonly serviceAccount: string;
  /** @default "1h"; range 1s to 576h (24 days) */
  readonly ttl?: string;
  /** @default "single" */
  readonly uses?: "single" | "multi";
}

export interface TokenIssued {
  readonly id: string;
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Asks for a token that opens the admin API for a time. Only the token of admin.json may. */
export interface AdminTokenRequest {
  /** For people: the history and the audit log say `admin:<name>`. a-z, 0-9 and -, at most 63 characters. */
  readonly name: string;
  /** What it may do: ask, or change things too. Neither makes tokens for the admin API. @default "write" */
  readonly scope?: "read" | "write";
  /** From 1m to 8760h. @default "8h" */
  readonly ttl?: string;
}

/** Shown once: the config-server keeps a hash. */
export interface AdminTokenIssued {
  readonly id: string;
  readonly token: string;
  readonly expiresAtMs: number;
}

export interface AdminTokenList {
  readonly tokens: readonly {
    readonly id: string;
    readonly name: string;
    readonly scope: "read" | "write";
    readonly expiresAtMs: number;
    readonly state: "valid" | "revoked" | "expired";
  }[];
}

/** The config-server's admin.json holds a new token; the one before opens nothing any more. */
export interface AdminFileRotated {
  readonly rotated: true;
}

export interface TokenList {
  readonly tokens: readonly {
    readonly id: string;
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly uses: "single" | "multi";
    readonly expiresAtMs: number;
    readonly state: "valid" | "used" | "revoked" | "expired";
  }[];
}

export interface RenewRequest {
  /** Member id; all connected members when absent. */
  readonly member?: string;
  /** The members spread their renewals over this long. @default at once; range 0s to 24h */
  readonly within?: string;
}

export interface RenewResult {
  readonly asked: readonly string[];
}

export interface RotationRequest {
  /** Go on although members hold the step back, or leaves of the old root live: they are cut off. @default false */
  readonly force?: boolean;
  /** Of `activate`: members renew at random within this long, and not each at its own half life. Range 0s to 24h */
  readonly within?: string;
}

export interface HeldBack {
  readonly member: string;
  readonly reason: string;
}

export interface RotationStatus {
  readonly phase: "none" | "prepared" | "distributing" | "activated";
  readonly roots: readonly {
    readonly id: string;
    readonly state: "prepared" | "distributing" | "active" | "retiring";
    /** Milliseconds since 1970. */
    readonly sinceMs: number;
    readonly notAfterMs: number;
    /** Of a retiring root: no leaf under it lives longer. */
    readonly leavesUntilMs?: number;
  }[];
  /** Members that the next step would cut off. */
  readonly heldBackBy: readonly HeldBack[];
  readonly warnings: readonly string[];
}

export interface RevocationRequest {
  /** Exactly one of it and `spiffeId`: one certificate, hexadecimal. */
  readonly serial?: string;
  /** Whoever shows this identity, and whoever joins as it. */
  readonly spiffeId?: string;
  /** For people. @default "" */
  readonly reason?: string;
  /** How long the certificates may live yet. @default as long as ours do; for an identity of another trust domain, for ever */
  readonly ttl?: string;
}

export interface RevocationEntry {
  readonly serial?: string;
  readonly spiffeId?: string;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Members need not be told any more from then on; an entry of a serial is forgotten then. */
  readonly untilMs?: number;
}

export interface RevocationEntries {
  readonly revocations: readonly RevocationEntry[];
}

export interface FederationRequest {
  readonly trustDomain: string;
  /** PEM, or SPIFFE's trust bundle: a JWK set. */
  readonly bundle: string;
}

export interface FederatedDomain {
  readonly trustDomain: string;
  readonly roots: readonly {
    readonly subject: string;
    /** Milliseconds since 1970. */
    readonly notAfterMs: number;
    /** SHA-256 of the certificate. */
    readonly fingerprint: string;
  }[];
}

export interface FederationList {
  readonly federated: readonly FederatedDomain[];
}

/** Our own bundle, for another mesh. */
export interface BundleExport {
  readonly trustDomain: string;
  /** Roots, then intermediates. */
  readonly pem: string;
  /** SPIFFE's trust bundle. */
  readonly jwks: string;
}

export interface ServerStatus {
  readonly software: string;
  readonly revision: Revision;
  readonly trustDomain: string;
  readonly members: number;
  /** True while removals are held back after the server's own start. */
  readonly inStartGrace: boolean;
  readonly counters: Readonly<Record<string, number>>;
}
