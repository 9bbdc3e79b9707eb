import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointList, MemberList, TokenIssued } from "@tulle/protocol";
import type { ListeningMessage } from "../applications/member-process.ts";
import type { ConfigServerMessage } from "../config-server.ts";
import { type AdminClient, openAdmin } from "./admin-client.ts";
import { ManagedProcess, type UnexpectedEnd } from "./managed-process.ts";
import { readPolicies } from "./read-policies.ts";

/** One process of the application. */
export interface MemberDescription {
  /** Its instance id in the mesh, too. */
  readonly name: string;
  /** Service and service account. */
  readonly service: "productpage" | "details" | "ratings" | "reviews";
  readonly version: string;
}

/** In the order in which they start, so that whoever calls finds whom it calls. */
const WAVES: readonly (readonly MemberDescription[])[] = [
  [
    { name: "details", service: "details", version: "v1" },
    { name: "ratings", service: "ratings", version: "v1" },
  ],
  [
    { name: "reviews-v1-a", service: "reviews", version: "v1" },
    { name: "reviews-v1-b", service: "reviews", version: "v1" },
    { name: "reviews-v2-a", service: "reviews", version: "v2" },
    { name: "reviews-v2-b", service: "reviews", version: "v2" },
    { name: "reviews-v3", service: "reviews", version: "v3" },
  ],
  [{ name: "productpage", service: "productpage", version: "v1" }],
];
const MEMBERS = WAVES.flat();

const SETTLE_LIMIT_MS = 30_000;
const POLL_MS = 100;

/** How the application is run. */
export interface BookinfoOptions {
  /** Logs, tokens and state of all processes. */
  readonly runDirectory: string;
  /** Of the page; 0 for any. */
  readonly publicPort: number;
  readonly otlpEndpoint: string;
  /** Applies the policies that hold before the first member joins, and tells their revision. @default those of `policies/` */
  readonly firstPolicies?: (bookinfo: Bookinfo) => Promise<string>;
  readonly onUnexpectedEnd: (end: UnexpectedEnd) => void;
}

type Member = ManagedProcess<ListeningMessage>;

/** The config-server and the eight processes of bookinfo. */
export class Bookinfo {
  readonly #options: BookinfoOptions;
  readonly #configServer: ManagedProcess<ConfigServerMessage>;
  readonly #members = new Map<string, Member>();
  #configServerAt: ConfigServerMessage | undefined;
  #admin: AdminClient | undefined;
  #pageUrl: string | undefined;
  #stopped = false;

  constructor(options: BookinfoOptions) {
    this.#options = options;
    const script = (name: string): string => join(import.meta.dirname, "..", name);
    const inRun = (...path: string[]): string => join(options.runDirectory, ...path);
    this.#configServer = new ManagedProcess(
      {
        name: "config-server",
        script: script("config-server.ts"),
        env: {
          TULLE_STATE_DIR: inRun("config-server"),
          // Shorter than the defaults, for an audience that waits for it.
          TULLE_START_GRACE: "10s",
          TULLE_DISCONNECT_GRACE: "3s",
        },
        logFile: inRun("config-server.log"),
      },
      options.onUnexpectedEnd,
    );
    for (const { name, service, version } of MEMBERS) {
      const description = {
        name,
        script: script(`applications/${service}.ts`),
        logFile: inRun(`${name}.log`),
        env: {
          TULLE_INSTANCE_ID: name,
          TULLE_TOKEN_FILE: inRun("tokens", name),
          TULLE_STATE_DIR: inRun("state", name),
          TULLE_ADVERTISE: "127.0.0.1",
          OTEL_SERVICE_NAME: service,
          ...telemetryTo(options.otlpEndpoint),
          ...(service === "reviews" ? { VERSION: version } : {}),
          ...(service === "productpage" ? { PUBLIC_PORT: String(options.publicPort) } : {}),
        },
      };
      this.#members.set(name, new ManagedProcess(description, options.onUnexpectedEnd));
    }
  }

  /** Starts everything and settles when the page can be opened. */
  async start(say: (line: string) => void): Promise<void> {
    await mkdir(join(this.#options.runDirectory, "tokens"), { recursive: true, mode: 0o700 });
    await this.startConfigServer();
    const revision = await (this.#options.firstPolicies ?? applyOwnPolicies)(this);
    say(`config-server at ${this.#serverUrl}, policy revision ${revision}`);
    for (const wave of WAVES) {
      await Promise.all(wave.map((member) => this.#join(member)));
      await this.registered(wave.map(({ name }) => name));
      say(`joined and serving: ${wave.map(({ name }) => name).join(", ")}`);
    }
  }

  /** The page, as a browser opens it. */
  get pageUrl(): string {
    if (this.#pageUrl === undefined) throw new Error("productpage was not started");
    return this.#pageUrl;
  }

  get admin(): AdminClient {
    if (this.#admin === undefined) throw new Error("the config-server was not started");
    return this.#admin;
  }

  /** Where the admin's address and secret lie, for the command line. */
  get adminFile(): string {
    return this.#startedConfigServer.adminFile;
  }

  /** Names of the processes that take part in the mesh. */
  get memberNames(): readonly string[] {
    return MEMBERS.map(({ name }) => name);
  }

  /** `service.instance.id` of the processes that live and call others. */
  get callers(): readonly string[] {
    return MEMBERS.filter(
      ({ service, version }) => service === "productpage" || (service === "reviews" && version !== "v1"),
    )
      .map(({ name }) => this.#member(name))
      .filter((member) => member.running)
      .map((member) => member.telemetryId);
  }

  /** Starts the config-server, after the first time on its former ports. */
  async startConfigServer(): Promise<void> {
    this.#checkStopped();
    const before = this.#configServerAt;
    this.#configServerAt = await this.#configServer.start({
      TULLE_PORT: String(before?.port ?? 0),
      TULLE_ADMIN_PORT: String(before?.adminPort ?? 0),
    });
    this.#admin?.close();
    this.#admin = await openAdmin(this.#configServerAt.adminFile);
  }

  killConfigServer(): Promise<void> {
    return this.#configServer.kill();
  }

  killMember(name: string): Promise<void> {
    return this.#member(name).kill();
  }

  /** Starts a member again; it joins by the certificate in its state folder. */
  async restartMember(name: string): Promise<void> {
    await this.#startMember(name);
    await this.registered([name]);
  }

  /** Settles when the registry holds the instances, healthy. */
  async registered(names: readonly string[]): Promise<void> {
    await this.eventually(`registration of ${names.join(", ")}`, async () => {
      const { services } = await this.admin.get<EndpointList>("/v1/endpoints");
      const healthy = services.flatMap(({ endpoints }) => endpoints.filter(({ health }) => health === "healthy"));
      return names.every((name) => healthy.some(({ id }) => id === name));
    });
  }

  /** Settles when the registry holds no healthy instance of that name. */
  async unregistered(name: string): Promise<void> {
    await this.eventually(`removal of ${name}`, async () => {
      const { services } = await this.admin.get<EndpointList>("/v1/endpoints");
      return !services.some(({ endpoints }) => endpoints.some(({ id, health }) => id === name && health === "healthy"));
    });
  }

  members(): Promise<MemberList> {
    return this.admin.get<MemberList>("/v1/members");
  }

  /**
   * Asks until the answer is yes; the config-server may be away in between.
   *
   * @throws Error when it is not within 30 s.
   */
  async eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + SETTLE_LIMIT_MS;
    let last: unknown;
    while (performance.now() < giveUpAt) {
      try {
        if (await holds()) return;
        last = undefined;
      } catch (error) {
        last = error;
      }
      await sleep(POLL_MS);
    }
    throw new Error(`no ${what} within ${SETTLE_LIMIT_MS / 1_000} s`, { cause: last });
  }

  /** Ends every process, callers before whom they call, the config-server last. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const wave of WAVES.toReversed()) await Promise.all(wave.map(({ name }) => this.#member(name).stop()));
    await this.#configServer.stop();
    this.#admin?.close();
  }

  /** Process ids of all that still run, for the last resort. */
  get pids(): readonly number[] {
    return [this.#configServer, ...this.#members.values()].flatMap(({ pid }) => pid ?? []);
  }

  async #join({ name, service }: MemberDescription): Promise<void> {
    const { token } = await this.admin.post<TokenIssued>("/v1/tokens", { serviceAccount: service, uses: "single" });
    await writeFile(join(this.#options.runDirectory, "tokens", name), token, { mode: 0o600 });
    const { publicPorts } = await this.#startMember(name);
    const [publicPort] = publicPorts;
    if (publicPort !== undefined) this.#pageUrl = `http://127.0.0.1:${publicPort}/productpage`;
  }

  async #startMember(name: string): Promise<ListeningMessage> {
    this.#checkStopped();
    const listening = await this.#member(name).start({ TULLE_SERVER: this.#serverUrl });
    const { healthPort } = listening;
    await this.eventually(`health of ${name}`, async () => {
      const response = await fetch(`http://127.0.0.1:${healthPort}/readyz`);
      await response.body?.cancel();
      return response.ok;
    });
    return listening;
  }

  /** What is still being started when the end comes must not start another process. */
  #checkStopped(): void {
    if (this.#stopped) throw new Error("bookinfo was stopped");
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`bookinfo has no process ${name}`);
    return member;
  }

  get #startedConfigServer(): ConfigServerMessage {
    if (this.#configServerAt === undefined) throw new Error("the config-server was not started");
    return this.#configServerAt;
  }

  get #serverUrl(): string {
    return this.#startedConfigServer.url;
  }
}

const applyOwnPolicies = async ({ admin }: Bookinfo): Promise<string> =>
  (await admin.apply(await readPolicies(), "bookinfo")).revision;

/** OpenTelemetry's own variables: metrics every second to the launcher's receiver, and nothing else. */
const telemetryTo = (endpoint: string): Readonly<Record<string, string>> => ({
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_METRIC_EXPORT_INTERVAL: "1000",
  OTEL_METRIC_EXPORT_TIMEOUT: "1000",
  OTEL_NODE_RESOURCE_DETECTORS: "env",
  OTEL_TRACES_EXPORTER: "none",
  OTEL_LOGS_EXPORTER: "none",
});
