import { X509Certificate } from "node:crypto";
import { normalSerial } from "@tulle/policy";
import type {
  HeldBack,
  RenewResult,
  Revision,
  RevocationEntries,
  RevocationEntry,
  RotationStatus,
} from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Authority } from "../authority/authority.ts";
import { type RevocationList, TooManyRevocations } from "../authority/revocations.ts";
import { RotationRefused } from "../authority/rotation.ts";
import type { Members } from "../push/members.ts";
import { AdminFailure, notFound } from "./admin-failure.ts";
import { noQuery, read, renewSchema, revocationSchema, rotationSchema } from "./request-schemas.ts";
import { heldBack } from "./rotation-guard.ts";
import type { AdminRequest, AdminRoute } from "./routes.ts";

/** What the routes of certificates work on. */
export interface CertificateContext {
  readonly authority: Authority;
  readonly revocations: RevocationList;
  readonly members: Members;
  readonly clock: Clock;
  /** The trust stream's present position, with every change that was made in it. */
  trustRevision(): Promise<Revision>;
  /** Whether members may still be on their way back after the server's own start. */
  inStartGrace(): boolean;
  readonly audit: Pick<AuditLog, "record">;
}

/** Certificates of members, and the rotation of the root. */
export const certificateRoutes = (context: CertificateContext): readonly AdminRoute[] => {
  const { authority, members, clock, audit } = context;
  const { rotation } = authority;

  const waitingFor = async (): Promise<readonly HeldBack[]> =>
    heldBack({
      phase: rotation.phase,
      members: members.list(),
      trustRevision: await context.trustRevision(),
      activeRoot: rotation.roots.find(({ state }) => state === "active")?.id ?? "",
      longestLeafMs: Math.max(0, ...rotation.roots.map(({ longestLeafMs }) => longestLeafMs)),
      nowMs: clock.wallNow(),
    });

  const status = async (): Promise<RotationStatus> => ({
    phase: rotation.phase,
    roots: rotation.roots.map(({ id, state, sinceMs, leavesUntilMs, certificate }) => ({
      id,
      state,
      sinceMs,
      notAfterMs: new X509Certificate(certificate).validToDate.getTime(),
      ...(leavesUntilMs === undefined ? {} : { leavesUntilMs }),
    })),
    heldBackBy: await waitingFor(),
    warnings: authority.warnings(),
  });

  /** Before the new root signs, whoever is alive must trust it. */
  const mayActivate = async (): Promise<void> => {
    if (context.inStartGrace()) {
      throw new RotationRefused(
        "rotation-held-back",
        "the config-server has just started and does not know yet who is alive: wait for the end of its start grace, or use force",
      );
    }
    const waiting = await waitingFor();
    if (waiting.length === 0) return;
    const named = waiting.slice(0, NAMED).map(({ member, reason }) => `${member} ${reason}`);
    const more = waiting.length > NAMED ? `; and ${waiting.length - NAMED} more` : "";
    throw new RotationRefused(
      "rotation-held-back",
      `${named.join("; ")}${more}: see \`tulle certificates rotate status\`; force cuts them off`,
    );
  };

  const steps: Readonly<
    Record<string, (order: { readonly force: boolean; readonly within?: number | undefined }) => Promise<void>>
  > = {
    prepare: async () => void (await rotation.prepare()),
    distribute: () => rotation.distribute(),
    activate: async ({ force, within }) => {
      if (!force && rotation.phase === "distributing") await mayActivate();
      await rotation.activate();
      if (within !== undefined) members.renew(undefined, within);
    },
    retire: ({ force }) => rotation.retire(force),
    abort: () => rotation.abort(),
  };

  const rotate = async (name: string, { body, actor }: AdminRequest): Promise<RotationStatus> => {
    const step = Object.hasOwn(steps, name) ? steps[name] : undefined;
    if (step === undefined) throw notFound("unknown-step", `there is no step "${name}" of a rotation`);
    const order = read(rotationSchema, body);
    try {
      await step(order);
    } catch (error) {
      if (!(error instanceof RotationRefused)) throw error;
      await audit.record({ event: "root-rotation-refused", actor, detail: { step: name, reason: error.message } });
      throw new AdminFailure(409, { error: error.code, message: error.message });
    }
    const roots = rotation.roots.map(({ id, state }) => `${id} ${state}`).join(", ");
    await audit.record({
      event: "root-rotated",
      actor,
      detail: { step: name, roots, ...(order.force ? { forced: "yes" } : {}) },
    });
    return status();
  };

  const renew = async ({ body, actor }: AdminRequest): Promise<RenewResult> => {
    const { member, within } = read(renewSchema, body);
    if (member !== undefined && !members.list().some(({ id, connected }) => id === member && connected)) {
      throw notFound("unknown-member", `no connected member has the id "${member}"`);
    }
    const asked = members.renew(member, within);
    await audit.record({ event: "renewal-asked", actor, detail: { members: asked.length } });
    return { asked };
  };

  const revoke = async ({ body, actor }: AdminRequest): Promise<RevocationEntry> => {
    const { serial, spiffeId, reason, ttl } = read(revocationSchema, body);
    const revoked = serial === undefined ? { spiffeId: spiffeId ?? "" } : { serial };
    const holder = serial && members.list().find((each) => sameSerial(each.certificateSerial, serial));
    const untilMs =
      ttl !== undefined ? clock.wallNow() + ttl : typeof holder === "object" ? holder.certificateNotAfterMs : undefined;
    try {
      const entry = await context.revocations.revoke({
        ...revoked,
        reason,
        ...(untilMs === undefined ? {} : { untilMs }),
      });
      await audit.record({ event: "certificate-revoked", actor, detail: { ...revoked, reason } });
      return entry;
    } catch (error) {
      if (!(error instanceof TooManyRevocations)) throw error;
      throw new AdminFailure(409, { error: "too-many-revocations", message: error.message });
    }
  };

  const restore = async ({ parts: [name = ""], actor }: AdminRequest): Promise<undefined> => {
    if (!(await context.revocations.restore(name))) throw notFound("unknown-revocation", `"${name}" is not revoked`);
    await audit.record({ event: "certificate-restored", actor, detail: { name } });
  };

  return [
    {
      method: "POST",
      path: "/v1/certificates/revocations",
      handle: revoke,
    },
    {
      method: "GET",
      path: "/v1/certificates/revocations",
      handle: async ({ query }): Promise<RevocationEntries> => {
        read(noQuery, query);
        return { revocations: context.revocations.entries };
      },
    },
    { method: "DELETE", path: "/v1/certificates/revocations/*", scope: "root", handle: restore },
    { method: "POST", path: "/v1/certificates/renew", handle: renew },
    {
      method: "GET",
      path: "/v1/certificates/rotation",
      handle: ({ query }) => {
        read(noQuery, query);
        return status();
      },
    },
    {
      method: "POST",
      path: "/v1/certificates/rotation/*",
      scope: "root",
      handle: (asked) => rotate(asked.parts[0] ?? "", asked),
    },
  ];
};

const sameSerial = (a: string | undefined, b: string): boolean =>
  a !== undefined && normalSerial(a) === normalSerial(b);

/** Members that a refusal names; the status has them all. */
const NAMED = 5;
