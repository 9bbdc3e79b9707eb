import {
  type Credentials,
  type InboundSnapshot,
  type OutboundSnapshot,
  parseWorkloadIdentity,
  referencedService,
  type ServiceKey,
  serviceKey,
} from "@tulle/policy";
import type { Ack, Begin, Commit, Nack, Part } from "@tulle/protocol";
import { Watchable, type Watched, whileHeld } from "@tulle/time";
import type { AgentOptions } from "./agent-options.ts";
import type { AgentState, MissingPart } from "./agent-state.ts";
import { type Authentication, byCertificate, byToken } from "./authentication.ts";
import { type Dialling, dialConfigServer } from "./config-server-peer.ts";
import { ConnectFailure } from "./connect-failure.ts";
import { CredentialKeeper } from "./credentials.ts";
import { Discovery } from "./discovery.ts";
import { encodeHello } from "./hello.ts";
import { currentWorker, instanceIdOf } from "./instance-id.ts";
import { KeptTexts } from "./kept-texts.ts";
import { LastGood } from "./last-good.ts";
import { type AgentLogger, silentLogger } from "./logger.ts";
import { PlaintextReporter, type SeenCaller } from "./plaintext-report.ts";
import { untilJoined } from "./readiness.ts";
import { keepConnected } from "./reconnect.ts";
import { type Registration, Registrations } from "./registrations.ts";
import { parseServerAddresses, type ServerAddress } from "./server-address.ts";
import { Session } from "./session.ts";
import { StateFolder } from "./state-folder.ts";
import { Subscription } from "./subscription.ts";

/** This process as a member of a mesh. */
export interface Agent {
  /** Unique among the members of the mesh. */
  readonly instanceId: string;
  /** `revision` is `""` and no name is known before the first policy has come. */
  readonly outbound: Watched<OutboundSnapshot>;
  /** `undefined` until it has come, and for a service without a `Service` policy. */
  readonly inbound: Watched<InboundSnapshot | undefined>;
  /** `undefined` until certificate and trust bundles have come. */
  readonly credentials: Watched<Credentials | undefined>;
  readonly state: Watched<AgentState>;
  /** Whether calls can be made with what is held, kept or fresh: a policy, and credentials that have not expired. */
  readonly hasSnapshot: boolean;
  /** Begins with what the state folder kept, and connects. Without effect when called again. */
  start(): void;
  /**
   * Settles when the member is joined. Keeps the process alive meanwhile.
   *
   * @throws MeshError JOIN_TIMEOUT after `timeoutMs`; JOIN_REFUSED as soon as the server says no for a reason that waiting
   * does not heal; MESH_CLOSED when the member leaves.
   */
  ready(timeoutMs: number): Promise<void>;
  /**
   * Subscribes to a service, and settles when its policy and its endpoints have come.
   *
   * All callers of one service share one subscription and one wait.
   *
   * @throws MeshError UNKNOWN_SERVICE after `discoveryTimeoutMs`, with names that resemble it, or with the policy that this
   * member has refused; NAMES_UNKNOWN where no names have come; OVERFLOW_PENDING when 1,000 calls already wait; MESH_CLOSED.
   * @throws the signal's reason.
   */
  discover(service: ServiceKey, signal?: AbortSignal): Promise<void>;
  /**
   * Tells that an endpoint of this process listens. Remembered, and told again after each reconnect. Settles when the
   * config-server has answered, or at once while there is no connection.
   *
   * @throws MeshError JOIN_REFUSED when this identity may not register for its service. It is told again whenever the policy
   * changes, until {@link withdraw} says that it is gone: services may start before their policy is applied.
   */
  register(endpoint: Registration): Promise<void>;
  /** Tells that an endpoint takes no new calls, or is gone. Settles as {@link register}; never throws. */
  withdraw(endpointId: string, state: "draining" | "gone"): Promise<void>;
  /** Tells who called this process without an identity, all of them; only what is new is sent, and only where it is taken. */
  reportPlaintext(callers: readonly SeenCaller[]): void;
  /** Milliseconds by which the config-server's clock is ahead of this machine's, as it was at the last welcome; 0 before. */
  readonly clockSkewMs: number;
  /** Says goodbye, writes what is to be kept, closes. */
  leave(): Promise<void>;
  counters(): Readonly<Record<string, number>>;
  /** Where keys of issuers of tokens outlive the process; `undefined` without a state folder. */
  readonly keptKeys: Pick<KeptTexts, "read" | "write"> | undefined;
}

/** How long each step of a connection may take: TCP and TLS, the upgrade, the welcome. */
const STEP_TIMEOUT_MS = 10_000;

/**
 * Makes a member that has not started yet.
 *
 * @throws MeshError INVALID_CALL when the server's address is none.
 */
export const createAgent = (options: AgentOptions): Agent => new MeshAgent(options);

class MeshAgent implements Agent {
  readonly instanceId: string;
  readonly state: Watchable<AgentState> = new Watchable<AgentState>({ state: "new" });
  readonly #options: AgentOptions;
  readonly #logger: AgentLogger;
  readonly #own: ServiceKey;
  readonly #addresses: readonly ServerAddress[];
  readonly keptKeys: KeptTexts | undefined;
  readonly #lastGood: LastGood | undefined;
  readonly #subscription: Subscription;
  readonly #keeper: CredentialKeeper;
  readonly #discovery: Discovery;
  readonly #registrations: Registrations;
  readonly #plaintext = new PlaintextReporter();
  readonly #stop = new AbortController();
  readonly #failure: Watchable<ConnectFailure | undefined> = new Watchable<ConnectFailure | undefined>(undefined);
  readonly #counters = {
    connections: 0,
    connectFailures: 0,
    protocolErrors: 0,
    resourcesReceived: 0,
    acks: 0,
    nacks: 0,
  };
  #session: ServingSession | undefined;
  #loop: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  #addressAt: number;
  /** The last failure that was logged: one that goes on is said once. */
  #told: string | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#own = serviceKey(options.namespace, options.service);
    this.#addresses = parseServerAddresses(options.server);
    this.#addressAt = Math.floor(options.random() * this.#addresses.length);
    const folder = this.#takeFolder();
    this.keptKeys = folder && new KeptTexts(folder, "jwks.json", this.#logger);
    this.#lastGood = folder && new LastGood(folder, options.clock, this.#logger);
    this.instanceId = instanceIdOf({
      service: options.service,
      given: options.instanceId,
      slot: folder?.slot,
      kept: this.#lastGood?.readInstanceId(),
      worker: options.clusterWorker ?? currentWorker(process.env),
    });
    this.#subscription = new Subscription(this.#own, options.validate);
    this.#keeper = new CredentialKeeper({
      clock: options.clock,
      random: options.random,
      logger: this.#logger,
      request: (csr) => this.#requestCertificate(csr),
      store: (kept) => this.#lastGood?.keepCredentials(kept),
    });
    this.#discovery = new Discovery({
      subscription: this.#subscription,
      clock: options.clock,
      send: (message) => this.#session?.open.send(message),
      timeoutMs: options.discoveryTimeoutMs,
      dependencies: (options.dependencies ?? []).map((name) => referencedService(name, options.namespace)),
    });
    // Before its certificate a member by token may not register: what is registered meanwhile is told after it.
    this.#registrations = new Registrations({
      service: this.#own,
      serviceAccount: () => parseWorkloadIdentity(this.#session?.open.welcome.spiffeId ?? "")?.serviceAccount,
      ask: (request) => (this.#session?.certified ? this.#session.open.request(request) : undefined),
      logger: this.#logger,
    });
  }

  get outbound(): Watched<OutboundSnapshot> {
    return this.#subscription.outbound;
  }

  get inbound(): Watched<InboundSnapshot | undefined> {
    return this.#subscription.inbound;
  }

  get credentials(): Watched<Credentials | undefined> {
    return this.#keeper.credentials;
  }

  get clockSkewMs(): number {
    return this.#keeper.skewMs;
  }

  get hasSnapshot(): boolean {
    return this.#subscription.knows("policy") && this.credentials.current !== undefined && this.#keeper.valid;
  }

  start(): void {
    if (this.state.current.state !== "new") return;
    this.#restore();
    this.#subscription.revocations.subscribe((revoked) => this.#keeper.revoke(revoked));
    this.#subscription.bundles.subscribe((bundles) => this.#keeper.trust(bundles));
    this.#subscription.commits.subscribe(() => {
      this.#lastGood?.keepStreams(this.#subscription.held);
      this.#registrations.policyChanged(this.#subscription.held.policy.seen);
      this.#tellState();
    });
    this.#keeper.credentials.subscribe(() => this.#tellState());
    this.#disconnected("not connected yet", undefined);
    const { clock, random } = this.#options;
    this.#loop = keepConnected({
      clock,
      random,
      signal: this.#stop.signal,
      connect: (worked) => this.#connect(worked),
      onFailure: (failure, delayMs) => this.#failed(failure, delayMs),
    });
  }

  ready(timeoutMs: number): Promise<void> {
    const { clock, server } = this.#options;
    const { state } = this;
    return whileHeld(untilJoined({ state, failure: this.#failure, clock, timeoutMs, member: this.#own, server }));
  }

  discover(service: ServiceKey, signal?: AbortSignal): Promise<void> {
    return this.#discovery.discover(service, signal);
  }

  register(endpoint: Registration): Promise<void> {
    return this.#registrations.register(endpoint);
  }

  withdraw(endpointId: string, state: "draining" | "gone"): Promise<void> {
    return this.#registrations.withdraw(endpointId, state);
  }

  reportPlaintext(callers: readonly SeenCaller[]): void {
    const session = this.#session;
    if (session?.certified) this.#plaintext.report(session.open, callers, this.#options.clock.now());
  }

  leave(): Promise<void> {
    this.#leaving ??= whileHeld(this.#leave());
    return this.#leaving;
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      ...this.#discovery.counters,
      ...this.#keeper.counters,
      ...this.#lastGood?.counters,
      ...this.keptKeys?.counters,
    };
  }

  async #leave(): Promise<void> {
    this.state.set({ state: "leaving" });
    this.#discovery.close();
    await this.#session?.open.leave();
    this.#stop.abort();
    await this.#loop;
    this.#keeper.close();
    this.#subscription.close();
    // Before the folder is given back to whoever comes next.
    await this.keptKeys?.close();
    await this.#lastGood?.close();
    this.state.set({ state: "left" });
    this.state.close();
  }

  #takeFolder(): StateFolder | undefined {
    const { stateDir } = this.#options;
    if (stateDir === undefined) return undefined;
    try {
      return StateFolder.take(stateDir);
    } catch (error) {
      this.#logger.warn(`the state folder ${stateDir} is not used, nothing survives a restart: ${messageOf(error)}`);
      return undefined;
    }
  }

  #restore(): void {
    const kept = this.#lastGood;
    if (kept === undefined) return;
    kept.writeInstanceId(this.instanceId);
    const refusal = this.#subscription.restore(kept.readStreams());
    if (refusal !== undefined) this.#logger.warn(`the kept policy is not used, it cannot be run: ${refusal}`);
    this.#keeper.revoke(this.#subscription.revocations.current);
    this.#keeper.trust(this.#subscription.bundles.current);
    const { certificate, pendingKey } = kept.readCredentials();
    try {
      this.#keeper.restore(certificate, pendingKey);
    } catch (error) {
      this.#logger.warn(`the kept certificate is not used: ${messageOf(error)}`);
    }
  }

  /** Lives as long as one connection. */
  async #connect(worked: () => void): Promise<never> {
    const { clock } = this.#options;
    const before = this.state.current;
    if (before.state === "disconnected") this.state.set({ ...before, nextAttemptMs: undefined });
    const address = this.#addresses[this.#addressAt % this.#addresses.length];
    if (address === undefined) throw new ConnectFailure("unreachable", "no config-server is named");
    const dialling = { clock, timeoutMs: STEP_TIMEOUT_MS, signal: this.#stop.signal };
    const { open, by } = await this.#open(address, dialling);
    worked();
    this.#welcomed(open, address.url, by);
    const failure = await open.ended;
    this.#session = undefined;
    this.#keeper.disconnected();
    this.#subscription.connectionLost();
    throw failure;
  }

  #welcomed(open: Session, server: string, by: Proof): void {
    this.#counters.connections += 1;
    this.#told = undefined;
    this.#failure.set(undefined);
    const certified = by === "certificate";
    this.#session = { open, server, certified };
    this.#logger.info(`connected to ${server} as ${open.welcome.spiffeId}`);
    this.#keeper.connected(open.welcome.spiffeId, open.welcome.wallClockMs, certified);
    if (certified) this.#registrations.replay();
    this.#tellState();
  }

  /** By the certificate where there is a valid one; a member whose certificate is not accepted may still have a token. */
  async #open(address: ServerAddress, dialling: Dialling): Promise<{ readonly open: Session; readonly by: Proof }> {
    const { token, tokenFile } = this.#options;
    const credentials = this.credentials.current;
    if (credentials !== undefined && this.#keeper.valid) {
      try {
        return { open: await this.#openBy(byCertificate(credentials), address, dialling), by: "certificate" };
      } catch (error) {
        const distrust =
          error instanceof ConnectFailure &&
          (error.kind === "untrusted" || error.code === "unauthenticated" || error.code === "revoked");
        if (!distrust || (token ?? tokenFile) === undefined) throw error;
        this.#logger.warn(`${error.message}; the certificate may be of an older mesh, the join token is tried`);
      }
    }
    return {
      open: await this.#openBy(await byToken(this.#options, address, dialling), address, dialling),
      by: "token",
    };
  }

  async #openBy({ trust, token }: Authentication, address: ServerAddress, dialling: Dialling): Promise<Session> {
    const { service, namespace, labels, features } = this.#options;
    const socket = await dialConfigServer(address, trust, dialling);
    const member = { id: this.instanceId, namespace, service, labels };
    const hello = encodeHello(member, this.#subscription.held, this.#discovery.subscriptions, features);
    return Session.open({ address, socket, token, ...dialling }, hello, {
      stream: (message, bytes) => this.#receive(message, bytes),
      renew: (withinMs) => this.#keeper.renewWithin(withinMs),
    });
  }

  #receive(message: Begin | Part | Commit, bytes: number): Ack | Nack | undefined {
    if (message.type === "part") this.#counters.resourcesReceived += message.upserts.length;
    const answer = this.#subscription.receive(message, bytes);
    if (answer?.type === "nack") {
      this.#counters.nacks += 1;
      this.#logger.error(`refused ${answer.stream} ${answer.revision}, the last good one stays: ${answer.reason}`);
    } else if (answer !== undefined) this.#counters.acks += 1;
    return answer;
  }

  #failed(failure: ConnectFailure, delayMs: number): void {
    this.#counters.connectFailures += 1;
    if (failure.kind === "protocol") this.#counters.protocolErrors += 1;
    this.#addressAt += 1;
    if (failure.message !== this.#told) {
      const line = `${failure.message}; the next attempt is in ${Math.round(delayMs)} ms`;
      if (failure.lasting || failure.kind === "protocol") this.#logger.error(line);
      else this.#logger.warn(line);
    }
    this.#told = failure.message;
    this.#failure.set(failure);
    this.#disconnected(failure.message, this.#options.clock.wallNow() + delayMs);
  }

  #disconnected(reason: string, nextAttemptMs: number | undefined): void {
    const before = this.state.current;
    if (before.state === "leaving" || before.state === "left") return;
    if (!this.hasSnapshot) {
      this.state.set({ state: "joining", lastFailure: this.#failure.current?.message });
      return;
    }
    const sinceMs = before.state === "disconnected" ? before.sinceMs : this.#options.clock.wallNow();
    this.state.set({ state: "disconnected", sinceMs, nextAttemptMs, reason });
  }

  /** Tells what the member has and lacks, while it is connected. */
  #tellState(): void {
    const session = this.#session;
    const { state } = this.state.current;
    if (session === undefined || state === "leaving" || state === "left") return;
    const missing = this.#missing();
    const { server } = session;
    if (missing.length > 0) this.state.set({ state: "unready", server, missing });
    else if (state !== "joined") this.state.set({ state: "joined", server, spiffeId: session.open.welcome.spiffeId });
  }

  #missing(): readonly MissingPart[] {
    const missing: MissingPart[] = [];
    if (!this.#subscription.knows("policy")) missing.push("policy");
    if (!this.#subscription.knows("trust")) missing.push("trust");
    if (!this.#keeper.valid || this.#session?.certified === false) missing.push("certificate");
    return missing;
  }

  async #requestCertificate(csr: string): Promise<string> {
    const session = this.#session;
    if (session === undefined) throw new ConnectFailure("lost", "not connected to the config-server");
    const answer = await session.open.request({ type: "certificate-request", csr });
    if (answer.type !== "certificate")
      throw new ConnectFailure("protocol", `a certificate request was answered by ${answer.type}`);
    if (!session.certified) {
      session.certified = true;
      this.#registrations.replay();
    }
    return answer.chain;
  }
}

/** What a connection was opened by. */
type Proof = "certificate" | "token";

interface ServingSession {
  readonly open: Session;
  readonly server: string;
  /** Whether the config-server takes us for a member: from the start by a certificate, by a token once one was issued. */
  certified: boolean;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
