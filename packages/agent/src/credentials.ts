import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { type Credentials, parseSpiffeId, type Revocations, type TrustBundle } from "@tulle/policy";
import { type Clock, describeSkew, type Random, type Timer, Watchable } from "@tulle/time";
import { certificateRequest } from "./certificate-request.ts";
import { uriNames } from "./config-server-peer.ts";
import type { AgentLogger } from "./logger.ts";
import { type CertificateLife, catchUpTime, renewalTime, retryDelay } from "./renewal-schedule.ts";

/** A certificate and its key, as they are kept. */
export interface StoredCertificate {
  /** Leaf first, PEM. */
  readonly certificateChain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** When it was received, milliseconds since 1970 by the config-server's clock: its life counts from then. */
  readonly receivedMs: number;
}

/** What the keeper of the credentials is given. */
export interface CredentialKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: AgentLogger;
  /** Sends a certificate request; settles with the chain. Rejects when refused or not connected. */
  readonly request: (csr: string) => Promise<string>;
  /** Keeps what must survive a restart. `pendingKey` is there while a certificate for it is being asked for. */
  readonly store: (kept: { readonly certificate?: StoredCertificate; readonly pendingKey?: string }) => void;
}

/** The wall clock is looked at this often, so that a jump or a suspended machine is noticed. */
const WATCH_INTERVAL_MS = 60_000;

/** Shares of life left at which people are warned, once each. */
const WARNINGS = [0.25, 0.1, 0] as const;

interface Life extends CertificateLife {
  readonly renewAtMs: number;
}

/**
 * Keeps the member's certificate: makes a key here, asks for a certificate, and asks for the next one, with a new key, shortly
 * before half of its life. All times are compared by the config-server's clock, as far as it is known.
 */
export class CredentialKeeper {
  readonly credentials: Watchable<Credentials | undefined> = new Watchable<Credentials | undefined>(undefined);
  readonly counters = { renewals: 0, renewalFailures: 0 };
  readonly #options: CredentialKeeperOptions;
  #certificate: Omit<Credentials, "generation" | "bundles" | "revoked"> | undefined;
  #bundles: readonly TrustBundle[] = [];
  #revoked: Revocations | undefined;
  #generation = 0;
  #life: Life | undefined;
  #warned = 0;
  #pendingKey: KeyObject | undefined;
  #spiffeId: string | undefined;
  #skewMs = 0;
  #asking = false;
  #failures = 0;
  /** When the connection to the config-server was lost. */
  #lostMs: number | undefined;
  /** Whether the next renewal comes at its own time, and not because somebody asked for it or an outage held it up. */
  #inTurn = false;
  /** Why the last request failed, said once. */
  #told: string | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: CredentialKeeperOptions) {
    this.#options = options;
  }

  /** Milliseconds by which the config-server's clock is ahead of ours. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** Whether the present certificate can still be shown. */
  get valid(): boolean {
    return this.#certificate !== undefined && this.#serverNow() < this.#certificate.notAfterMs;
  }

  /** Goes on with what an earlier life of the member kept. @throws Error when key and certificate do not fit or cannot be read. */
  restore(certificate: StoredCertificate | undefined, pendingKey: string | undefined): void {
    if (pendingKey !== undefined) this.#pendingKey = createPrivateKey(pendingKey);
    if (certificate === undefined) return;
    this.#take(certificate, createPrivateKey(certificate.privateKey));
    if (!this.valid) {
      this.#options.logger.warn(
        `the kept certificate expired at ${iso(this.#certificate?.notAfterMs)}${this.#skewWords()}`,
      );
    }
  }

  /** The bundles changed: the same certificate, another generation. */
  trust(bundles: readonly TrustBundle[]): void {
    this.#bundles = bundles;
    this.#publish();
  }

  /** Peers were revoked, or restored: the same generation, for connections to all others go on. */
  revoke(revoked: Revocations | undefined): void {
    this.#revoked = revoked;
    const { current } = this.credentials;
    if (current === undefined) return;
    const { revoked: _, ...rest } = current;
    this.credentials.set(revoked === undefined ? rest : { ...rest, revoked });
  }

  /**
   * The config-server welcomed the member: it says who it is, what time it is, and certificates can be asked for.
   *
   * @param proven by the present certificate; otherwise one is asked for at once, whatever is held.
   */
  connected(spiffeId: string, serverWallMs: number, proven: boolean = this.valid): void {
    const { clock, logger } = this.#options;
    this.#skewMs = serverWallMs - clock.wallNow();
    const skew = describeSkew(this.#skewMs);
    if (skew !== undefined) logger.warn(`${skew}; certificates may look expired or not yet valid`);
    if (this.#spiffeId !== undefined && this.#spiffeId !== spiffeId) {
      logger.warn(`the config-server takes this member for ${spiffeId}; it was ${this.#spiffeId}`);
    }
    this.#spiffeId = spiffeId;
    this.#failures = 0;
    const lostMs = this.#lostMs;
    this.#lostMs = undefined;
    if (!proven || this.#certificate?.spiffeId !== spiffeId) {
      this.renewNow();
      return;
    }
    const life = this.#life;
    const nowMs = this.#serverNow();
    if (life !== undefined && life.renewAtMs <= nowMs) {
      this.#renewAt(
        catchUpTime({ lostMs, nowMs, dueMs: life.renewAtMs, notAfterMs: life.notAfterMs }, this.#options.random),
      );
    }
    this.#watch();
  }

  /** The connection to the config-server is gone. */
  disconnected(): void {
    this.#lostMs ??= this.#serverNow();
  }

  /** Asks for a new certificate at once, unless one is being asked for. */
  renewNow(): void {
    this.#inTurn = false;
    void this.#renew();
  }

  /** Asks for a new certificate at random within a time, unless its own turn comes first. */
  renewWithin(withinMs: number): void {
    if (this.#life === undefined || withinMs <= 0) {
      this.renewNow();
      return;
    }
    const atMs = this.#serverNow() + withinMs * this.#options.random();
    if (atMs < this.#life.renewAtMs) this.#renewAt(atMs);
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.credentials.close();
  }

  async #renew(): Promise<void> {
    const spiffeId = this.#spiffeId;
    if (this.#asking || this.#closed || spiffeId === undefined) return;
    this.#asking = true;
    try {
      const key = this.#keyToCertify();
      const certificateChain = await this.#options.request(certificateRequest(key, spiffeId));
      const certificate = { certificateChain, privateKey: pkcs8(key), receivedMs: this.#serverNow() };
      this.#take(certificate, key, spiffeId);
      this.#inTurn = true;
      this.#pendingKey = undefined;
      this.#failures = 0;
      this.#told = undefined;
      this.counters.renewals += 1;
      this.#options.store({ certificate });
    } catch (error) {
      this.#failures += 1;
      this.counters.renewalFailures += 1;
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.#told) this.#options.logger.warn(`no certificate for ${spiffeId}: ${why}`);
      this.#told = why;
    } finally {
      this.#asking = false;
    }
    this.#watch();
  }

  /**
   * The key is kept until its certificate has come: a single-use token is bound to the first key that it was used with, so
   * that a crash between the server's signature and our receipt can be made good with the same key and no other.
   */
  #keyToCertify(): KeyObject {
    if (this.#pendingKey === undefined) {
      this.#pendingKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
      this.#options.store({ pendingKey: pkcs8(this.#pendingKey) });
    }
    return this.#pendingKey;
  }

  #take(certificate: StoredCertificate, key: KeyObject, expected?: string): void {
    const leaf = new X509Certificate(certificate.certificateChain);
    if (!leaf.publicKey.equals(createPublicKey(key))) throw new Error("the certificate is for another key");
    const [spiffeId, ...others] = uriNames(leaf);
    if (spiffeId === undefined || others.length > 0)
      throw new Error("the certificate does not say exactly one SPIFFE ID");
    if (expected !== undefined && spiffeId !== expected) {
      throw new Error(`the certificate says ${spiffeId} in place of ${expected}`);
    }
    const notAfterMs = leaf.validToDate.getTime();
    this.#certificate = {
      spiffeId,
      certificateChain: certificate.certificateChain,
      privateKey: certificate.privateKey,
      notBeforeMs: leaf.validFromDate.getTime(),
      notAfterMs,
    };
    const life = { receivedMs: certificate.receivedMs, notAfterMs };
    // What was kept is an earlier life's, whose turn is not known; what is renewed next is.
    this.#life = {
      ...life,
      renewAtMs: renewalTime(life, this.#inTurn || expected === undefined, this.#options.random),
    };
    this.#warned = 0;
    this.#publish();
    this.#watch();
  }

  #publish(): void {
    if (this.#certificate === undefined || this.#bundles.length === 0) return;
    this.#generation += 1;
    this.credentials.set({
      ...this.#certificate,
      generation: this.#generation,
      bundles: this.#bundles,
      ...(this.#revoked === undefined ? {} : { revoked: this.#revoked }),
    });
  }

  /** Arms the timer for whatever comes first: renewal, a retry, a warning, or the next look at the wall clock. */
  #watch(): void {
    this.#timer?.cancel();
    if (this.#closed || this.#asking) return;
    const dueInMs = this.#failures > 0 ? this.#retryDelayMs() : this.#untilRenewalMs();
    const delayMs = Math.max(0, Math.min(dueInMs, this.#untilWarningMs(), WATCH_INTERVAL_MS));
    const renewAt = this.#options.clock.now() + dueInMs;
    this.#timer = this.#options.clock.after(delayMs, () => this.#look(renewAt));
  }

  #look(retryAtMs: number): void {
    this.#warn();
    const due = this.#failures > 0 ? this.#options.clock.now() >= retryAtMs : this.#untilRenewalMs() <= 0;
    if (due) void this.#renew();
    else this.#watch();
  }

  #renewAt(renewAtMs: number): void {
    if (this.#life === undefined) return;
    this.#life = { ...this.#life, renewAtMs };
    this.#inTurn = false;
  }

  #untilRenewalMs(): number {
    return this.#life === undefined ? Number.POSITIVE_INFINITY : this.#life.renewAtMs - this.#serverNow();
  }

  #retryDelayMs(): number {
    return retryDelay(this.#failures, this.#life, this.#serverNow(), this.#options.random);
  }

  #untilWarningMs(): number {
    const share = WARNINGS[this.#warned];
    if (this.#life === undefined || share === undefined) return Number.POSITIVE_INFINITY;
    const { receivedMs, notAfterMs } = this.#life;
    return notAfterMs - share * (notAfterMs - receivedMs) - this.#serverNow();
  }

  #warn(): void {
    let crossed = false;
    while (this.#untilWarningMs() <= 0) {
      this.#warned += 1;
      crossed = true;
    }
    if (!crossed) return;
    const { logger } = this.#options;
    const until = `${iso(this.#life?.notAfterMs)}${this.#skewWords()}`;
    const remedy = "; the next one is asked for by itself: see that the config-server can be reached (tulle status)";
    const why = this.#failures > 0 ? `, ${this.#failures} requests for the next one failed` : "";
    if (this.#warned === WARNINGS.length) logger.error(`the certificate expired at ${until}${why}${remedy}`);
    else
      logger.warn(
        `less than ${100 * (WARNINGS[this.#warned - 1] ?? 0)} % of the certificate's life is left, it ends at ${until}${why}${remedy}`,
      );
  }

  #serverNow(): number {
    return this.#options.clock.wallNow() + this.#skewMs;
  }

  #skewWords(): string {
    const words = describeSkew(this.#skewMs);
    return words === undefined ? "" : ` (${words})`;
  }
}

/** The trust domain of a SPIFFE ID, `""` for a text that is none. */
export const trustDomainOf = (spiffeId: string): string => parseSpiffeId(spiffeId)?.trustDomain ?? "";

const pkcs8 = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();

const iso = (ms: number | undefined): string => (ms === undefined ? "an unknown time" : new Date(ms).toISOString());
