import { type Agent, createAgent } from "@tulle/agent";
import { checkOutbound, supportedPolicyFeatures } from "@tulle/client";
import { DEFAULT_NAMESPACE, MeshError, parseDuration } from "@tulle/policy";
import { checkInbound } from "@tulle/server";
import { systemClock } from "@tulle/time";
import { assembleMesh } from "./assemble-mesh.ts";
import { checkLocality } from "./check-locality.ts";
import { checkOption } from "./check-option.ts";
import { type MemberEnvironment, readEnvironment } from "./environment.ts";
import { maxIdleConnectionsOf } from "./max-idle-connections.ts";
import type { Mesh, MeshStatus } from "./mesh.ts";
import { type MeshOptions, meshModes, NO_SERVICE, silentLogger } from "./mesh-options.ts";
import type { MeshSource } from "./mesh-source.ts";
import { passThroughSource, passThroughUntilKnown } from "./pass-through.ts";

/** What a start does when the mesh is not ready in time. */
export type UnreadyAction = "throw" | "snapshot" | "passthrough";

const unreadyActions: readonly UnreadyAction[] = ["throw", "snapshot", "passthrough"];

/** How a process joins a mesh. Whatever is left out comes from a `TULLE_*` variable, see docs/environment.md. */
export interface JoinMeshOptions extends MeshOptions {
  /** The service that this process is an instance of. @default TULLE_SERVICE */
  readonly service?: string;
  /** The config-server, such as `wss://mesh.example:7117`; several are separated by commas. @default TULLE_SERVER */
  readonly server?: string;
  /** @default TULLE_TOKEN */
  readonly token?: string;
  /** A file that is read anew at each join; may hold an OIDC token, such as Kubernetes projects. @default TULLE_TOKEN_FILE */
  readonly tokenFile?: string;
  /** The mesh's CA, PEM: needed beside an OIDC token, which carries no pin. @default TULLE_CA_FILE */
  readonly caFile?: string;
  /** In place of `caFile`: the CA's pin, as `tulle up` prints it. @default TULLE_CA_PIN */
  readonly caPin?: string;
  /** The mesh's trust domain, needed beside an OIDC token. @default TULLE_TRUST_DOMAIN, else "cluster.local" */
  readonly trustDomain?: string;
  /** Where the last good snapshot and the credentials survive a restart; none by default. @default TULLE_STATE_DIR */
  readonly stateDir?: string;
  /** Stable across restarts where the platform gives one, such as a pod's name. @default TULLE_INSTANCE_ID, else kept in the state folder, else random */
  readonly instanceId?: string;
  /** Services that are called, so that they are known before the first call. @default found out by use */
  readonly dependencies?: readonly string[];
  /** How long the first call to a service waits until the mesh has told of it. From 1ms to 5m. @default "2s" */
  readonly discoveryTimeout?: string;
  /** The address that others are told. @default TULLE_ADVERTISE, else see {@link MeshListenOptions} */
  readonly advertise?: string;
  /** How long to wait for policy and certificate. @default "5s" */
  readonly readyTimeout?: string;
  /**
   * What a start does when the mesh is not ready in time: fail; go on with the last good snapshot of the state folder, and
   * fail only if there is none; or let every call pass through untouched until the mesh is there.
   * @default "snapshot"
   */
  readonly onUnready?: UnreadyAction;
}

const DEFAULT_READY_TIMEOUT = "5s";

/**
 * Joins the mesh: proves who this process is, gets a certificate and the policy, and stays connected.
 *
 * @throws MeshError JOIN_TIMEOUT or JOIN_REFUSED, as `onUnready` says.
 * @throws MeshError INVALID_CALL when neither option nor variable names the service or the config-server.
 */
export const joinMesh = async (options: JoinMeshOptions = {}): Promise<Mesh> => {
  const environment = readEnvironment(process.env);
  const mode = checkOption("mode", options.mode ?? environment.mode ?? "full", meshModes);
  const onUnready = checkOption("onUnready", options.onUnready ?? "snapshot", unreadyActions);
  const named = options.service ?? environment.service;
  const service = mode === "off" ? (named ?? NO_SERVICE) : required("service", "TULLE_SERVICE", named);
  const namespace = options.namespace ?? environment.namespace ?? DEFAULT_NAMESPACE;
  const labels = options.labels ?? {};
  const locality = checkLocality("locality", options.locality) ?? environment.locality;
  const identity = {
    service,
    namespace,
    labels,
    locality,
    mode,
    advertise: options.advertise ?? environment.advertise,
    maxIdleConnections: maxIdleConnectionsOf(options.maxIdleConnections, environment.maxIdleConnections),
  };
  if (mode === "off") {
    return assembleMesh(passThroughSource({ service, namespace, instanceId: service }), identity, options);
  }
  const agent = createAgent(agentOptions(options, environment, { service, namespace }));
  agent.start();
  const source = agentSource(agent, readyTimeoutMs(options));
  try {
    await source.ready();
  } catch (error) {
    if (!survivesUnready(onUnready, agent)) {
      await agent.leave();
      throw error;
    }
    (options.logger ?? silentLogger).warn(`the mesh is not ready, going on without it: ${String(error)}`);
  }
  const passing = onUnready === "passthrough";
  const outbound = passing ? passThroughUntilKnown(agent.outbound) : agent.outbound;
  return assembleMesh({ ...source, outbound }, identity, options);
};

const survivesUnready = (onUnready: UnreadyAction, agent: Agent): boolean =>
  onUnready === "passthrough" || (onUnready === "snapshot" && agent.hasSnapshot);

const readyTimeoutMs = (options: JoinMeshOptions): number =>
  parseDuration(options.readyTimeout ?? DEFAULT_READY_TIMEOUT);

const agentSource = (agent: Agent, timeoutMs: number): MeshSource => ({
  instanceId: agent.instanceId,
  outbound: agent.outbound,
  inbound: agent.inbound,
  credentials: agent.credentials,
  state: () => stateOf(agent),
  discover: (service, signal) => agent.discover(service, signal),
  register: (registration) => agent.register(registration),
  withdraw: (endpointId, state) => agent.withdraw(endpointId, state),
  clockSkewMs: () => agent.clockSkewMs,
  reportPlaintext: (callers) => agent.reportPlaintext(callers),
  ready: () => agent.ready(timeoutMs),
  leave: () => agent.leave(),
  counters: () => agent.counters(),
  ...(agent.keptKeys === undefined ? {} : { keptKeys: agent.keptKeys }),
});

/** What a user needs to know: a member that has not begun or lacks something is still joining. */
const stateOf = (agent: Agent): MeshStatus["state"] => {
  const { state } = agent.state.current;
  return state === "new" || state === "unready" ? "joining" : state;
};

const agentOptions = (
  options: JoinMeshOptions,
  environment: MemberEnvironment,
  identity: { readonly service: string; readonly namespace: string },
): Parameters<typeof createAgent>[0] => ({
  ...identity,
  server: required("server", "TULLE_SERVER", options.server ?? environment.server),
  labels: options.labels ?? {},
  clock: options.clock ?? systemClock,
  random: options.random ?? Math.random,
  validate: ({ outbound, inbound }) => checkOutbound(outbound, options.balancers) ?? checkInbound(inbound),
  features: supportedPolicyFeatures(),
  logger: options.logger ?? silentLogger,
  ...given("token", options.token ?? environment.token),
  ...given("tokenFile", options.tokenFile ?? environment.tokenFile),
  ...given("caFile", options.caFile ?? environment.caFile),
  ...given("caPin", options.caPin ?? environment.caPin),
  ...given("trustDomain", options.trustDomain ?? environment.trustDomain),
  ...given("stateDir", options.stateDir ?? environment.stateDir),
  ...given("instanceId", options.instanceId ?? environment.instanceId),
  ...(options.discoveryTimeout === undefined ? {} : { discoveryTimeoutMs: parseDuration(options.discoveryTimeout) }),
  ...(options.dependencies === undefined ? {} : { dependencies: options.dependencies }),
});

/** An optional property: absent rather than `undefined`. */
const given = <Name extends string>(name: Name, value: string | undefined): { readonly [key in Name]?: string } =>
  // A computed key widens to `string`; the key is exactly `Name`.
  (value === undefined ? {} : { [name]: value }) as { readonly [key in Name]?: string };

const required = (option: string, variable: string, value: string | undefined): string => {
  if (value !== undefined) return value;
  throw new MeshError("INVALID_CALL", {
    message: `joinMesh was not told the ${option}`,
    hint: `pass the option "${option}" or set ${variable}`,
  });
};
