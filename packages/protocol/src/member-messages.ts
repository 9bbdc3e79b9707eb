import type { Endpoint, ServiceKey } from "@tulle/policy";
import type { ReportedCaller } from "./plaintext-callers.ts";
import type { ResourceName, ResourceUpsert } from "./resource.ts";
import type { Revision, Stream } from "./stream.ts";

/** What a member holds of a stream when it connects. */
export interface HeldStream {
  /** The last transaction that the member took, or `null`. */
  readonly revision: Revision | null;
  /** The highest position it ever saw committed, taken or refused; a server that is behind it must not answer from older state. */
  readonly seen: Revision | null;
  /** Version by name of everything held. */
  readonly resources: Readonly<Record<ResourceName, string>>;
}

/** First message of a member, within 5 s of the connection. */
export interface Hello {
  readonly type: "hello";
  /** Versions of this protocol that the member can speak, both included. */
  readonly protocol: { readonly min: number; readonly max: number };
  /** What else it can do: `gzip`, and one `policy:<field>` for each optional policy capability. */
  readonly features: readonly string[];
  /** Name and version of the software, such as `tulle/0.1.0`; for people. */
  readonly software: string;
  readonly member: {
    /** The instance's id. */
    readonly id: string;
    readonly namespace: string;
    readonly service: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly held: Readonly<Partial<Record<Stream, HeldStream>>>;
  /** Services it calls. */
  readonly subscriptions: readonly ServiceKey[];
}

/** Changes what the member is sent. Unknown services are allowed: their resources come when they exist. */
export interface Subscribe {
  readonly type: "subscribe";
  readonly add: readonly ServiceKey[];
  readonly remove: readonly ServiceKey[];
}

/** The transaction was taken; covers all earlier ones of its stream. */
export interface Ack {
  readonly type: "ack";
  readonly stream: Stream;
  readonly revision: Revision;
}

/** The transaction was refused whole; the member keeps what it had. */
export interface Nack {
  readonly type: "nack";
  readonly stream: Stream;
  readonly revision: Revision;
  /** For people: what was wrong and where. At most 2,000 characters. */
  readonly reason: string;
  readonly resource?: ResourceName;
}

/** An instance begins to listen, or says again that it does. Answered by `done` or `refused` with the same `id`. */
export interface Register {
  readonly type: "register";
  readonly id: number;
  readonly service: ServiceKey;
  readonly endpoint: Omit<Endpoint, "serviceAccount" | "health">;
}

/** The instance takes no new calls (`draining`), or is gone (`gone`). Answered by `done`. */
export interface Withdraw {
  readonly type: "withdraw";
  readonly id: number;
  readonly service: ServiceKey;
  readonly endpointId: string;
  readonly state: "draining" | "gone";
}

/** Asks for a certificate. Answered by `certificate` or `refused`. */
export interface CertificateRequest {
  readonly type: "certificate-request";
  readonly id: number;
  /** PKCS#10, PEM. At most 8 KiB. */
  readonly csr: string;
}

/**
 * Who called the member without an identity within the last hour, all of it: it takes the place of the report before. Only to
 * config-servers whose welcome has the feature `plaintext-callers`. Not answered.
 */
export interface PlaintextCallers {
  readonly type: "plaintext-callers";
  /** At most 64, the most recent ones. */
  readonly callers: readonly ReportedCaller[];
}

/** The member leaves on purpose; its endpoints go at once. */
export interface MemberGoodbye {
  readonly type: "goodbye";
}

/** Everything a member may say. */
export type MemberMessage =
  | Hello
  | Subscribe
  | Ack
  | Nack
  | Register
  | Withdraw
  | CertificateRequest
  | PlaintextCallers
  | MemberGoodbye;

/** Answer to a good hello. */
export interface Welcome {
  readonly type: "welcome";
  /** The version chosen: the highest that both speak. */
  readonly protocol: number;
  readonly features: readonly string[];
  readonly software: string;
  /** The identity the server took the member for: a SPIFFE ID. */
  readonly spiffeId: string;
  /** The server pings this often; a member that hears nothing for two intervals ends the connection. */
  readonly pingIntervalMs: number;
  /** The server's clock, milliseconds since 1970, so that a skewed member can name its skew. */
  readonly wallClockMs: number;
}

/** Opens a transaction. Only one is open per stream. */
export interface Begin {
  readonly type: "begin";
  readonly stream: Stream;
  readonly revision: Revision;
  /** True when everything held that no part mentions is to be dropped: after a change of epoch. */
  readonly full: boolean;
}

/** A piece of a transaction, at most 256 KiB as sent. */
export interface Part {
  readonly type: "part";
  readonly stream: Stream;
  readonly revision: Revision;
  /** From 0, without gaps. */
  readonly index: number;
  readonly upserts: readonly ResourceUpsert[];
  readonly removals: readonly ResourceName[];
}

/** Closes a transaction; the member swaps it in now and answers `ack` or `nack`. */
export interface Commit {
  readonly type: "commit";
  readonly stream: Stream;
  readonly revision: Revision;
  readonly parts: number;
}

/** A request was carried out. */
export interface Done {
  readonly type: "done";
  readonly id: number;
}

/** The certificate that was asked for. */
export interface CertificateIssued {
  readonly type: "certificate";
  readonly id: number;
  /** Leaf first, then intermediates, PEM. */
  readonly chain: string;
}

/** A request, or the whole connection when there is no `id`, was refused. */
export interface Refused {
  readonly type: "refused";
  readonly id?: number;
  readonly code: RefusalCode;
  /** For people: what was wrong and what to do. */
  readonly message: string;
}

/** Asks the member to request a new certificate now. */
export interface Renew {
  readonly type: "renew";
  /** The member waits at random for this long before, so that many that are asked at once do not come at once. @default 0 */
  readonly withinMs?: number;
}

/** The server goes; members reconnect with jitter, not before the time given. */
export interface ServerGoodbye {
  readonly type: "goodbye";
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** Everything a config-server may say. */
export type ServerMessage =
  | Welcome
  | Begin
  | Part
  | Commit
  | Done
  | CertificateIssued
  | Refused
  | Renew
  | ServerGoodbye;

/** Why a config-server refuses something. Closed list; each has a row in docs/protocol.md. */
export const refusalCodes = [
  "bad-json",
  "bad-message",
  "unknown-type",
  "too-large",
  "binary-frame",
  "wrong-order",
  "hello-timeout",
  "enroll-timeout",
  "protocol-version",
  "unauthenticated",
  "token-malformed",
  "token-signature",
  "token-expired",
  "token-used",
  "token-revoked",
  "token-audience",
  "issuer-unavailable",
  "identity-mismatch",
  "not-allowed",
  "revoked",
  "csr-malformed",
  "csr-signature",
  "csr-subject",
  "csr-key",
  "behind",
  "slow-reader",
  "too-many",
  "replaced",
  "internal",
] as const;

/** One of {@link refusalCodes}. */
export type RefusalCode = (typeof refusalCodes)[number];
