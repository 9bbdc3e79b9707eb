import { createClient } from "@tulle/client";
import { type EndpointLocality, MeshError, parseDuration, servicePortOf } from "@tulle/policy";
import { createServer, type ListenApp, type MeshListener, type Visit } from "@tulle/server";
import { type Clock, constant, type Random, systemClock } from "@tulle/time";
import { advertisedAddress } from "./advertised-address.ts";
import { authorizerSender } from "./authorizer-sender.ts";
import { bindServer } from "./bound-server.ts";
import { observeCertificate } from "./certificate-metrics.ts";
import { fetchKeysBy } from "./fetch-keys.ts";
import type { Mesh, MeshListenOptions, MeshStatus } from "./mesh.ts";
import { type MeshMode, type MeshOptions, silentLogger } from "./mesh-options.ts";
import type { MeshSource } from "./mesh-source.ts";
import { passThroughOutbound } from "./pass-through.ts";
import { reportPlaintext } from "./plaintext-reports.ts";
import { leaveOnSignal } from "./shutdown-signals.ts";
import { VisitContext } from "./visit-context.ts";

/** Who this process is, with every default filled in. */
export interface MeshIdentity {
  readonly service: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: EndpointLocality | undefined;
  readonly mode: MeshMode;
  readonly advertise: string | undefined;
  /** `undefined`: the client's default. */
  readonly maxIdleConnections: number | undefined;
}

/** How long a leaving member waits for the registry to hear that it drains: a dead config-server must not hold it up. */
const WITHDRAW_LIMIT_MS = parseDuration("1s");

/** Puts a source, a client and a server together into one mesh. */
export const assembleMesh = (source: MeshSource, identity: MeshIdentity, options: MeshOptions): Mesh => {
  const clock: Clock = options.clock ?? systemClock;
  const random: Random = options.random ?? Math.random;
  const logger = options.logger ?? silentLogger;
  const { service, namespace, labels, locality, mode, maxIdleConnections } = identity;
  const visits = new VisitContext<Visit>();

  const client = createClient({
    outbound: mode === "off" || mode === "observe" ? constant(passThroughOutbound) : source.outbound,
    credentials: source.credentials,
    clock,
    random,
    namespace,
    service,
    labels,
    locality,
    maxIdleConnections,
    discover: (key, signal) => source.discover(key, signal),
    inherit: () => visits.inherited(),
    onProblem: (revision, problem) =>
      logger.error(`revision ${revision} cannot be compiled, the last good one stays in force: ${String(problem)}`),
    onEjection: (key, decision) => {
      const { endpoint, cause } = decision;
      if (decision.ejected) {
        logger.warn(`endpoint ${endpoint} of ${key} is left out for ${Math.round(decision.forMs)} ms (${cause})`);
      } else {
        logger.info(`endpoint ${endpoint} of ${key} fails (${cause}) and is not left out (${decision.because})`);
      }
    },
    onHealth: (key, { endpoint, from, to }) => {
      const tell = to === "unhealthy" ? logger.warn : logger.info;
      // The first check of one that is well says nothing that anybody waits for.
      if (from !== "pending" || to !== "healthy") {
        tell.call(logger, `endpoint ${endpoint} of ${key} is ${to} by its health checks (it was ${from})`);
      }
    },
    onNotice: (text) => logger.info(text),
    clockSkewMs: () => source.clockSkewMs(),
    onCircuit: (destination, state) => logger.warn(`the circuit of ${destination} is ${state}`),
    ...(options.outside === undefined ? {} : { outside: options.outside }),
    ...(options.balancers === undefined ? {} : { balancers: options.balancers }),
    ...(options.localReplies === undefined ? {} : { localReplies: options.localReplies }),
  });
  const server = createServer({
    inbound: source.inbound,
    credentials: source.credentials,
    clock,
    random,
    service,
    namespace,
    labels,
    mode,
    clockSkewMs: () => source.clockSkewMs(),
    enter: (visit, run) => visits.enter(visit, run),
    fetchKeys: fetchKeysBy(client.fetch),
    onNotice: (text) => logger.warn(text),
    ...(source.keptKeys === undefined ? {} : { keyStorage: source.keptKeys }),
    askAuthorizer: authorizerSender(client),
  });

  const listeners = new Map<string, MeshListener>();
  const stopObserving =
    mode === "off" ? () => undefined : observeCertificate(source.credentials, clock, () => source.clockSkewMs());
  let stopReports: (() => void) | undefined;
  let stopSignals: (() => void) | undefined;
  let leaving: Promise<void> | undefined;

  const listen = async (app: ListenApp, listenOptions: MeshListenOptions): Promise<MeshListener> => {
    if (leaving !== undefined) {
      throw new MeshError("MESH_CLOSED", { message: "the mesh was left, so nothing can be served in it any more" });
    }
    const listener = await server.listen(app, listenOptions);
    const id = listeners.size === 0 ? source.instanceId : `${source.instanceId}-${listeners.size}`;
    listeners.set(id, listener);
    stopReports ??= reportPlaintext(server, source, clock);
    const instance = {
      id,
      address: advertisedAddress({ advertise: listenOptions.advertise ?? identity.advertise, host: listener.host }),
      port: listener.port,
      labels,
      ...(locality === undefined ? {} : { locality }),
    };
    listener.onTransport((transport) => {
      if (leaving !== undefined || !listeners.has(id)) return;
      source.register({ ...instance, transport }).catch((error: unknown) => {
        logger.error(`callers of ${id} are not told to speak ${transport}: ${String(error)}`);
      });
    });
    const registered = source.register({ ...instance, transport: listener.transport });
    if (source.state() === "joined") {
      try {
        await registered;
      } catch (error) {
        listeners.delete(id);
        // What the caller hears of must not come true behind its back when the policy changes.
        await source.withdraw(id, "gone");
        await listener.close();
        throw error;
      }
    } else {
      // Without a config-server the registration waits for one; serving does not.
      registered.catch((error: unknown) => logger.error(`registration of ${id} was refused: ${String(error)}`));
    }
    if (listenOptions.signals !== false) stopSignals ??= leaveOnSignal(leave);
    warnOfAnotherPort(listenOptions.servicePort);
    return listener;
  };

  const warnOfAnotherPort = (servicePort: number | undefined): void => {
    const own = source.inbound.current?.service;
    if (servicePort === undefined || own === undefined || servicePort === servicePortOf(own)) return;
    logger.warn(
      `${service} listens as service port ${servicePort}, and its Service policy says ${servicePortOf(own)}: callers follow the policy`,
    );
  };

  const leave = (): Promise<void> => {
    leaving ??= (async () => {
      stopSignals?.();
      stopReports?.();
      stopObserving();
      await settledWithin(
        [...listeners.keys()].map((id) => source.withdraw(id, "draining")),
        WITHDRAW_LIMIT_MS,
        clock,
      );
      // The clients hear of it first and close their idle connections; closing first would lose the calls under way to us.
      await Promise.all([...listeners.values()].map((listener) => listener.drain()));
      await source.leave();
      await server.close();
      client.uninstall();
      await client.close();
    })();
    return leaving;
  };

  const status = (): MeshStatus => {
    const credentials = source.credentials.current;
    const revision = source.outbound.current.revision;
    return {
      state: source.state(),
      mode,
      service,
      namespace,
      instanceId: source.instanceId,
      revision: revision === "" ? undefined : revision,
      spiffeId: credentials?.spiffeId,
      credentialGeneration: credentials?.generation ?? 0,
      certificateNotAfterMs: credentials?.notAfterMs,
      counters: { client: client.counters(), server: server.counters(), agent: source.counters() },
    };
  };

  const mesh: Mesh = {
    fetch: client.fetch,
    request: client.request,
    agent: client.agent,
    dispatcher: client.dispatcher,
    fetchDispatcher: client.fetchDispatcher,
    install: () => client.install(),
    uninstall: () => client.uninstall(),
    explain: (url, init) => client.explain(url, init),
    listen,
    ready: () => source.ready(),
    get status() {
      return status();
    },
    get visit() {
      return visits.current();
    },
    dryRunSamples: () => server.dryRunSamples(),
    leave,
    [Symbol.asyncDispose]: leave,
  };
  bindServer(mesh, server);
  return mesh;
};

const settledWithin = (promises: readonly Promise<unknown>[], limitMs: number, clock: Clock): Promise<void> =>
  new Promise((resolve) => {
    const timer = clock.after(limitMs, resolve);
    Promise.allSettled(promises).then(() => {
      timer.cancel();
      resolve();
    });
  });
