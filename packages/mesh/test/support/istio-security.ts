import type { AccessAction, AccessOperation, AccessRule, AccessSource, JwtRule, MtlsMode, Policy } from "@tulle/policy";
import { parseAllDocuments } from "yaml";

/** Istio's documents about identity and access, as far as its own tests use them. */
interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly jwtRules?: readonly JwtRule[];
    readonly mtls?: { readonly mode: string };
    readonly action?: string;
    readonly rules?: readonly {
      readonly from?: readonly { readonly source: Sources }[];
      readonly to?: readonly { readonly operation: Operations }[];
      readonly when?: AccessRule["when"];
    }[];
  };
}

type Sources = Omit<AccessSource, "addresses" | "notAddresses" | "remoteAddresses" | "notRemoteAddresses"> & {
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
};

type Operations = Omit<AccessOperation, "ports" | "notPorts"> & {
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
};

/** Where a document is put, and what stands for what its tests take for granted. */
export interface IstioPlace {
  readonly namespace: string;
  readonly jwksUri?: string;
  /** The port that a port of Istio's test workload is here. */
  readonly port?: (written: number) => number;
}

/** Routing around the workload, which says nothing about who may call it. */
const ignored: ReadonlySet<string> = new Set(["DestinationRule", "Gateway", "VirtualService"]);

/** Translates documents. @throws Error for a kind that is neither translated nor known to be of no matter. */
export const istioSecurity = (yaml: string, place: IstioPlace): readonly Policy[] =>
  yaml
    .split(/^---$/m)
    // What a template leaves open is in documents that are ignored, and would be no YAML.
    .map((text) => text.replaceAll(/\{\{.*?\}\}/g, "open").replaceAll("@JWKS_URI@", place.jwksUri ?? ""))
    .flatMap((text) => parseAllDocuments(text).map((document): unknown => document.toJS()))
    .flatMap((written) => (written === null || written === undefined ? [] : policiesOf(written as Document, place)));

const policiesOf = ({ kind, metadata, spec }: Document, place: IstioPlace): readonly Policy[] => {
  if (ignored.has(kind)) return [];
  const labels = spec.selector?.matchLabels;
  const meta = {
    name: metadata.name,
    namespace: place.namespace,
    ...(labels === undefined ? {} : { selector: { labels } }),
  };
  if (kind === "RequestAuthentication") {
    return [{ kind: "Authentication", ...meta, ...(spec.jwtRules === undefined ? {} : { jwt: spec.jwtRules }) }];
  }
  if (kind === "PeerAuthentication") {
    const mode = (spec.mtls?.mode ?? "unset").toLowerCase() as MtlsMode;
    return [{ kind: "Authentication", ...meta, name: `${metadata.name}-peers`, mtls: { mode } }];
  }
  if (kind !== "AuthorizationPolicy") throw new Error(`${kind} is not translated`);
  return [
    {
      kind: "Access",
      ...meta,
      action: (spec.action ?? "ALLOW").toLowerCase() as AccessAction,
      ...(spec.rules === undefined
        ? {}
        : {
            rules: spec.rules.map(({ from, to, when }) => ({
              ...(from === undefined ? {} : { from: from.map(({ source }) => sourceOf(source)) }),
              ...(to === undefined ? {} : { to: to.map(({ operation }) => operationOf(operation, place)) }),
              ...(when === undefined ? {} : { when }),
            })),
          }),
    },
  ];
};

const sourceOf = ({ ipBlocks, notIpBlocks, remoteIpBlocks, notRemoteIpBlocks, ...same }: Sources): AccessSource => ({
  ...same,
  ...(ipBlocks === undefined ? {} : { addresses: ipBlocks }),
  ...(notIpBlocks === undefined ? {} : { notAddresses: notIpBlocks }),
  ...(remoteIpBlocks === undefined ? {} : { remoteAddresses: remoteIpBlocks }),
  ...(notRemoteIpBlocks === undefined ? {} : { notRemoteAddresses: notRemoteIpBlocks }),
});

const operationOf = ({ ports, notPorts, ...same }: Operations, { port }: IstioPlace): AccessOperation => {
  const here = (written: readonly string[]): readonly number[] =>
    written.map((each) => port?.(Number(each)) ?? Number(each));
  return {
    ...same,
    ...(ports === undefined ? {} : { ports: here(ports) }),
    ...(notPorts === undefined ? {} : { notPorts: here(notPorts) }),
  };
};
