import { randomUUID } from "node:crypto";
import { unknownBalancers } from "@tulle/client";
import type { Credentials, TrustBundle } from "@tulle/policy";
import { DEFAULT_NAMESPACE, MeshError, PolicyError, parseSpiffeId } from "@tulle/policy";
import { constant, Watchable } from "@tulle/time";
import { assembleMesh } from "./assemble-mesh.ts";
import { checkLocality } from "./check-locality.ts";
import { checkOption } from "./check-option.ts";
import { readEnvironment } from "./environment.ts";
import { type FixedConfiguration, type FixedReader, fixedSnapshots } from "./fixed-snapshot.ts";
import { readCertificate } from "./given-certificate.ts";
import { maxIdleConnectionsOf } from "./max-idle-connections.ts";
import type { Mesh } from "./mesh.ts";
import { type MeshOptions, meshModes, NO_SERVICE } from "./mesh-options.ts";
import type { MeshSource } from "./mesh-source.ts";
import { passThroughSource } from "./pass-through.ts";

/** A certificate that the user brings along. */
export interface GivenCredentials {
  /** Leaf first, then intermediates, PEM. The leaf's one URI SAN is the SPIFFE ID. */
  readonly certificateChain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  readonly bundles: readonly TrustBundle[];
}

/** A mesh of values. */
export interface CreateMeshOptions extends MeshOptions, FixedConfiguration {
  /** The service that this process is part of; its inbound policies are the ones that hold here. @default "client" */
  readonly service?: string;
  /**
   * Without it calls and listeners are plaintext, and every caller is a stranger: nobody can prove to be of the mesh, so
   * no deadline and no baggage of a caller is taken over. Its trace is continued: an id gives no right.
   */
  readonly credentials?: GivenCredentials;
}

/** A mesh whose values can be replaced. */
export interface FixedMesh extends Mesh {
  /**
   * Replaces policies and endpoints, whole: calls under way finish on the old ones.
   *
   * @throws PolicyError with every problem found; nothing has changed then.
   */
  update(configuration: FixedConfiguration): void;
}

/**
 * The same mesh as {@link joinMesh}'s, without a config-server: policies, endpoints and credentials are values. For tests,
 * local work and scripts.
 *
 * @throws PolicyError when the policies have problems, all of them at once.
 * @throws MeshError INVALID_CALL when an endpoint or the credentials cannot be read.
 */
export const createMesh = (options: CreateMeshOptions): FixedMesh => createFixedMesh(options, () => undefined);

/** {@link createMesh} for whoever has something to end with the mesh. */
export const createFixedMesh = (options: CreateMeshOptions, onLeave: () => void): FixedMesh => {
  const environment = readEnvironment(process.env);
  const service = options.service ?? NO_SERVICE;
  const namespace = options.namespace ?? environment.namespace ?? DEFAULT_NAMESPACE;
  const mode = checkOption("mode", options.mode ?? environment.mode ?? "full", meshModes);
  const credentials = options.credentials === undefined ? undefined : readCredentials(options.credentials);
  const reader = (number: number): FixedReader => ({
    namespace,
    service,
    number,
    defaultTransport: credentials === undefined ? "plaintext" : "mtls",
    trustDomain: credentials === undefined ? undefined : parseSpiffeId(credentials.spiffeId)?.trustDomain,
  });

  let number = 1;
  const read = (configuration: FixedConfiguration, of: number): ReturnType<typeof fixedSnapshots> => {
    const snapshots = fixedSnapshots(configuration, reader(of));
    const unknown = unknownBalancers(snapshots.outbound, options.balancers);
    if (unknown.length > 0) throw new PolicyError(unknown);
    return snapshots;
  };
  const first = read(options, number);
  const outbound = new Watchable(first.outbound);
  // Without a certificate nobody can be asked for one: strict would refuse every caller.
  const servable = ({ inbound }: typeof first): typeof first.inbound =>
    credentials === undefined
      ? {
          ...inbound,
          mesh: { ...inbound.mesh, mtls: "disable" },
          authentication: inbound.authentication.map(({ mtls: _, ...others }) => others),
        }
      : inbound;
  const inbound = new Watchable(servable(first));
  const instanceId = environment.instanceId ?? `${service}-${randomUUID().slice(0, 8)}`;

  const source: MeshSource =
    mode === "off"
      ? passThroughSource({ service, namespace, instanceId })
      : {
          instanceId,
          outbound,
          inbound,
          credentials: constant(credentials),
          state: () => "fixed",
          discover: (key) =>
            Promise.reject(
              new MeshError("UNKNOWN_SERVICE", { message: `the mesh was created without the service ${key}` }),
            ),
          register: () => Promise.resolve(),
          withdraw: () => Promise.resolve(),
          clockSkewMs: () => 0,
          reportPlaintext: () => undefined,
          ready: () => Promise.resolve(),
          leave: async () => onLeave(),
          counters: () => ({}),
        };
  const identity = {
    service,
    namespace,
    labels: options.labels ?? {},
    locality: checkLocality("locality", options.locality) ?? environment.locality,
    mode,
    advertise: environment.advertise,
    maxIdleConnections: maxIdleConnectionsOf(options.maxIdleConnections, environment.maxIdleConnections),
  };
  const mesh = assembleMesh(source, identity, options);
  const update = (configuration: FixedConfiguration): void => {
    const next = read(configuration, number + 1);
    number += 1;
    inbound.set(servable(next));
    outbound.set(next.outbound);
  };
  return Object.assign(mesh, { update });
};

const readCredentials = (given: GivenCredentials): Credentials => ({
  generation: 1,
  ...readCertificate(given.certificateChain),
  certificateChain: given.certificateChain,
  privateKey: given.privateKey,
  bundles: given.bundles,
});
