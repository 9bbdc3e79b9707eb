import {
  type ExternalServicePolicy,
  effectiveConnectionPool,
  externalPortOf,
  isPlaintext,
  type OutboundSnapshot,
  type RouteFound,
  type RouteViewer,
  type ServiceKey,
  type ServiceSnapshot,
} from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { questionOf } from "../call.ts";
import {
  type CompiledRule,
  type CompiledService,
  type CompileKit,
  compileService,
  destinationsOf,
} from "../compile.ts";
import { completeFailure, failCall } from "../failure.ts";
import { ownDeadlineOf } from "../layers/enforce-deadline.ts";
import type { Reply } from "../reply.ts";
import type { Call, Send, UrlScheme } from "../send.ts";
import { Compilation } from "./compilation.ts";

/** Hears that a snapshot's policies could not be compiled; the last good ones stay in force. */
export type CompileProblem = (revision: string, problem: unknown) => void;

/** Asks for a service that the snapshot does not hold; settles when it is there. */
export type Discover = (service: ServiceKey, signal?: AbortSignal) => Promise<void>;

/** Lets the event loop have its turn before the next slice. */
export type Later = (run: () => void) => void;

/** A snapshot and its services, as far as they are compiled. */
type Generation = Pick<Compilation, "snapshot" | "services">;

/**
 * The ready chains of all services, made when the snapshot changes and swapped whole. Large changes are compiled in slices,
 * while what was in force before serves; so a call meets one revision, never half of two. A snapshot that does not compile
 * leaves the policies of the last good one in force, but its endpoints count all the same: who cannot take a policy must
 * still learn which endpoints are dead.
 */
export class RouteTable {
  #kit: CompileKit;
  readonly #onProblem: CompileProblem;
  readonly #later: Later;
  #inForce: Generation;
  #compilation: Compilation | undefined;
  #waiting: (() => void)[] = [];

  constructor(snapshot: OutboundSnapshot, kit: CompileKit, onProblem: CompileProblem, later: Later = setImmediate) {
    this.#kit = kit;
    this.#onProblem = onProblem;
    this.#later = later;
    this.#inForce = { snapshot: { ...snapshot, services: new Map() }, services: new Map() };
    this.take(snapshot);
  }

  /** The revision whose policies are in force. */
  get revision(): string {
    return this.#inForce.snapshot.revision;
  }

  find(service: ServiceKey): CompiledService | undefined {
    return this.#inForce.services.get(service);
  }

  get isSettled(): boolean {
    return this.#compilation === undefined;
  }

  /** Settles when nothing is being compiled: what the mesh has told by now is in force, or was refused. */
  settled(): Promise<void> {
    if (this.isSettled) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Compiles anew for another identity of the caller. Renewed certificates carry the same one nearly always. */
  takeViewer(viewer: RouteViewer): void {
    if (viewer.source.principal === this.#kit.viewer.source.principal) return;
    this.#kit = { ...this.#kit, viewer };
    this.#compile(this.#compilation?.snapshot ?? this.#inForce.snapshot, []);
  }

  /** Compiles what changed and keeps the rest, also of a snapshot that was not yet compiled to its end. */
  take(snapshot: OutboundSnapshot): void {
    const { ledger } = this.#kit;
    const generations: readonly Generation[] =
      this.#compilation === undefined ? [this.#inForce] : [this.#compilation, this.#inForce];
    const before = (this.#compilation ?? this.#inForce).snapshot;
    for (const [key, service] of snapshot.services) {
      if (before.services.get(key) !== service || before.mesh !== snapshot.mesh)
        ledger.update(service, effectiveConnectionPool(service.policy, snapshot.mesh));
    }
    this.#compile(snapshot, generations);
  }

  /** What is being compiled is given up; what is in force stays. */
  close(): void {
    this.#compilation = undefined;
    this.#settle();
  }

  #compile(snapshot: OutboundSnapshot, generations: readonly Generation[]): void {
    const known = (service: ServiceSnapshot): CompiledService | undefined => {
      for (const { snapshot: before, services } of generations) {
        const compiled = services.get(service.key);
        if (compiled !== undefined && sameParts(service, before, snapshot)) return compiled;
      }
      return undefined;
    };
    const kit = this.#kit;
    this.#compilation = new Compilation(snapshot, known, (service) => compileService(service, snapshot, kit));
    this.#advance(this.#compilation);
  }

  #advance(compilation: Compilation): void {
    // A newer one has taken over what this one had done.
    if (compilation !== this.#compilation) return;
    const { snapshot, services } = compilation;
    try {
      if (!compilation.advance()) {
        this.#later(() => this.#advance(compilation));
        return;
      }
      this.#inForce = { snapshot, services };
      const circuits = [...services.values()].flatMap((service) => [...service.circuits]);
      this.#kit.ledger.retain(new Set(services.keys()), new Set(circuits));
    } catch (problem) {
      this.#onProblem(snapshot.revision, problem);
    }
    this.#compilation = undefined;
    this.#settle();
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Whether nothing changed that a service's chains are made of. Endpoints do not count: the chains read them live. */
const sameParts = (service: ServiceSnapshot, before: OutboundSnapshot, after: OutboundSnapshot): boolean => {
  if (before.mesh !== after.mesh) return false;
  if (before.services.get(service.key)?.routes !== service.routes) return false;
  for (const key of destinationsOf(service)) {
    if (before.services.get(key)?.policy !== after.services.get(key)?.policy) return false;
  }
  return true;
};

/** Finds the ready chain of a call: the service, the first rule that fits, its split. */
export const routeCall =
  (table: RouteTable, discover: Discover, clock: Clock): Send =>
  (call) => {
    const compiled = table.find(call.service);
    return compiled === undefined || compiled.missing.length > 0
      ? discoverAndRoute({ table, discover, clock }, call)
      : route(table, compiled, call);
  };

const route = (table: RouteTable, compiled: CompiledService, call: Call): Promise<Reply> => {
  call.revision = table.revision;
  const wrong = wrongPort(compiled, call);
  if (wrong !== undefined) {
    return Promise.reject(failCall(call, "UNKNOWN_SERVICE", wrong.message, { hint: wrong.hint }));
  }
  const found = findRule(compiled, call);
  const rule = ruleOf(compiled, found);
  if (rule === undefined) {
    return Promise.reject(failCall(call, "NO_ROUTE", "no rule of the service's routes matches the call"));
  }
  call.rule = rule.name;
  call.match = found?.match;
  return rule.send(call);
};

/** What of a service's routes a call meets; `undefined`: nothing. */
export const findRule = (compiled: CompiledService, call: Call): RouteFound | undefined =>
  compiled.rules.size === 0 ? undefined : compiled.matcher(questionOf(call));

/** The compiled rule of what a call meets, `undefined` when its route refuses calls that none matches. */
export const ruleOf = (compiled: CompiledService, found: RouteFound | undefined): CompiledRule | undefined =>
  found === undefined ? compiled.unmatched : compiled.rules.get(found.rule);

/** The service, then those that its routes lead to, whose own routes do not count. */
const DISCOVERY_ROUNDS = 2;

/** A first call to a service waits until the mesh has told of it, but not past its own deadline. */
const discoverAndRoute = async (
  { table, discover, clock }: { readonly table: RouteTable; readonly discover: Discover; readonly clock: Clock },
  call: Call,
): Promise<Reply> => {
  const abort = new AbortController();
  const stop = call.cancel.onCancel((reason) => abort.abort(reason));
  const deadlineMs = ownDeadlineOf(call);
  const timer =
    deadlineMs === Number.POSITIVE_INFINITY
      ? undefined
      : clock.after(deadlineMs - clock.now(), () =>
          call.cancel.cancel(
            failCall(call, "DEADLINE_EXCEEDED", "the call's time ran out before the mesh told of the service"),
          ),
        );
  try {
    // Only then, so that a caller's abort always meets a discovery that listens.
    if (!table.isSettled) await table.settled();
    // What a service's routes lead to is known only once the service is.
    for (let round = 0; round < DISCOVERY_ROUNDS; round++) {
      const known = table.find(call.service);
      if (known?.missing.length === 0) break;
      for (const service of known?.missing ?? [call.service]) {
        if (!call.cancel.cancelled) await discover(service, abort.signal);
      }
      await table.settled();
    }
  } catch (error) {
    throw call.cancel.cancelled ? call.cancel.reason : completeFailure(call, error);
  } finally {
    stop();
    timer?.cancel();
  }
  if (call.cancel.cancelled) throw call.cancel.reason;
  const found = table.find(call.service);
  if (found === undefined || found.missing.length > 0) {
    throw failCall(call, "UNKNOWN_SERVICE", `the mesh told nothing of service ${found?.missing[0] ?? call.service}`);
  }
  return route(table, found, call);
};

/** Why a service does not answer on the port that a URL names; `undefined` when it does. */
export const wrongPort = (
  { snapshot, ports }: CompiledService,
  { port: asked, scheme }: { readonly port: number; readonly scheme: UrlScheme },
): { readonly message: string; readonly hint: string } | undefined =>
  snapshot.external !== undefined
    ? wrongOutside(snapshot.key, snapshot.external, asked, scheme)
    : ports.has(asked)
      ? undefined
      : {
          message: `service ${snapshot.key} has port ${[...ports].join(", ")}, not ${asked}`,
          hint:
            asked === 443
              ? "write http:// and no port: the mesh encrypts by itself"
              : "the port in a URL is the service port; endpoints have their own",
        };

/** TLS where the caller wants it, and where it does not ask for it, as TLS origination does: never less than was asked for. */
const wrongOutside = (
  key: ServiceKey,
  external: ExternalServicePolicy,
  asked: number,
  scheme: UrlScheme,
): { readonly message: string; readonly hint: string } | undefined => {
  const port = externalPortOf(external);
  const plaintext = isPlaintext(external);
  if (scheme === "https" && plaintext) {
    return {
      message: `service ${key} is called in plaintext, and the URL asks for TLS`,
      hint: "write http://, or take tls.mode out of the ExternalService policy",
    };
  }
  const byScheme = scheme === "http" && !plaintext ? 80 : port;
  return asked === port || asked === byScheme
    ? undefined
    : {
        message: `service ${key} has port ${port}, not ${asked}`,
        hint: "the port of the ExternalService policy is that of its addresses and of URLs",
      };
};
