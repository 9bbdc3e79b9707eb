import type { MeshErrorCode, OutboundSnapshot, ServiceKey } from "@tulle/policy";
import { LRUCache } from "lru-cache";
import type { UrlScheme } from "../send.ts";

/** What a host means to the mesh. */
export type Resolution =
  | {
      readonly kind: "mesh";
      readonly service: ServiceKey;
      readonly scheme: UrlScheme;
      readonly authority: string;
      readonly port: number;
    }
  /** Not the mesh's: handed on untouched. */
  | {
      readonly kind: "outside";
      /** The host is this machine, by its name or by a loopback address. */
      readonly ownMachine?: true;
    }
  | { readonly kind: "refused"; readonly code: MeshErrorCode; readonly message: string; readonly hint?: string };

/** Origins whose meaning is remembered; beyond, the least recently used is forgotten and worked out again. */
export const REMEMBERED_ORIGINS = 1_024;

const outside: Resolution = { kind: "outside" };
const ownMachine: Resolution = { kind: "outside", ownMachine: true };

/** Remembers what origins mean, until the mesh's names or its outbound mode change. */
export class HostResolver {
  readonly #known = new LRUCache<string, Resolution>({ max: REMEMBERED_ORIGINS });
  #snapshot: OutboundSnapshot;

  constructor(snapshot: OutboundSnapshot) {
    this.#snapshot = snapshot;
  }

  take(snapshot: OutboundSnapshot): void {
    const before = this.#snapshot;
    this.#snapshot = snapshot;
    if (before.names !== snapshot.names || before.mesh.outbound !== snapshot.mesh.outbound) this.#known.clear();
  }

  /** @throws TypeError when the origin is no URL. */
  resolve(origin: string): Resolution {
    const known = this.#known.get(origin);
    if (known !== undefined) return known;
    const found = resolveUrl(new URL(origin), this.#snapshot);
    this.#known.set(origin, found);
    return found;
  }
}

/** Decides what a host means. Pure. */
export const resolveUrl = (url: URL, { names, mesh }: OutboundSnapshot): Resolution => {
  if (url.protocol !== "http:" && url.protocol !== "https:") return outside;
  const host = url.hostname;
  const scheme = url.protocol === "https:" ? "https" : "http";
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  const service = names.lookup(host, port);
  if (service !== undefined) {
    return { kind: "mesh", service, scheme, authority: url.host, port };
  }
  if (names.passes(host)) return outside;
  if (isOwnMachine(host)) return ownMachine;
  if (!names.known && isShort(host)) {
    return {
      kind: "refused",
      code: "NAMES_UNKNOWN",
      message: `this member does not know the mesh's names yet, so "${host}" can be neither routed nor looked up in DNS`,
      hint: "await mesh.ready() before the first call",
    };
  }
  // A mesh that owns no name, such as one that is switched off, owns no long name either.
  if (names.size > 0 && isMeshName(host)) {
    return refused(
      "UNKNOWN_SERVICE",
      `"${host}" looks like a service of the mesh, but there is none of that name`,
      names.near(host),
    );
  }
  if (mesh.outbound === "registry-only") {
    return refused(
      "OUTSIDE_REFUSED",
      `"${host}" is not a service of the mesh, and the outbound mode is registry-only`,
      names.near(host),
    );
  }
  return outside;
};

const refused = (code: MeshErrorCode, message: string, near: readonly string[]): Resolution =>
  near.length === 0
    ? { kind: "refused", code, message }
    : { kind: "refused", code, message, hint: `did you mean ${near.join(" or ")}?` };

/** A name that DNS would complete by its search list: one without a dot. IPv6 addresses have none either. */
const isShort = (host: string): boolean => !host.includes(".") && !host.startsWith("[");

const isMeshName = (host: string): boolean => /\.svc(\.cluster\.local)?\.?$/.test(host);

const isOwnMachine = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || host.startsWith("127.");
