import { buildNameIndex, type InboundSnapshot, type OutboundSnapshot } from "@tulle/policy";
import { constant, type Watched } from "@tulle/time";
import type { MeshSource } from "./mesh-source.ts";

const REVISION = "pass-through.0";

/** A mesh that owns no name: every call is handed on untouched. */
export const passThroughOutbound: OutboundSnapshot = {
  revision: REVISION,
  mesh: { kind: "Mesh", name: "mesh", outbound: "allow-any" },
  names: buildNameIndex([], "default"),
  services: new Map(),
};

const passThroughInbound = (service: string, namespace: string): InboundSnapshot => ({
  revision: REVISION,
  mesh: { kind: "Mesh", name: "mesh", mtls: "disable" },
  service: { kind: "Service", name: service, namespace },
  access: [],
  authentication: [],
});

/** The source of a mesh that is switched off: nothing is joined, nothing is asked. */
export const passThroughSource = (identity: {
  readonly service: string;
  readonly namespace: string;
  readonly instanceId: string;
}): MeshSource => ({
  instanceId: identity.instanceId,
  outbound: constant(passThroughOutbound),
  inbound: constant(passThroughInbound(identity.service, identity.namespace)),
  credentials: constant(undefined),
  state: () => "off",
  discover: () => Promise.resolve(),
  register: () => Promise.resolve(),
  withdraw: () => Promise.resolve(),
  clockSkewMs: () => 0,
  reportPlaintext: () => undefined,
  ready: () => Promise.resolve(),
  leave: () => Promise.resolve(),
  counters: () => ({}),
});

/** The same outbound snapshots, but every call passes through for as long as the mesh's names are not known. */
export const passThroughUntilKnown = (outbound: Watched<OutboundSnapshot>): Watched<OutboundSnapshot> => {
  const seen = (snapshot: OutboundSnapshot): OutboundSnapshot =>
    snapshot.names.known ? snapshot : passThroughOutbound;
  return {
    get current() {
      return seen(outbound.current);
    },
    subscribe: (listener) => outbound.subscribe((snapshot) => listener(seen(snapshot))),
  };
};
