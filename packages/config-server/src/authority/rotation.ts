import type { AuthorityState, RootRecord, RootState } from "./authority-state.ts";

/** A step of the rotation that does not come next, or whose condition does not hold. */
export class RotationRefused extends Error {
  override readonly name: string = "RotationRefused";
  readonly code: "rotation-order" | "rotation-held-back";

  constructor(code: RotationRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** What has been done so far: `none` when one root is all there is. */
export type RotationPhase = "none" | "prepared" | "distributing" | "activated";

/** Where the rotation stands. */
export const phaseOf = (state: AuthorityState): RotationPhase => {
  if (rootIn(state, "retiring") !== undefined) return "activated";
  if (next(state, "distributing") !== undefined) return "distributing";
  return next(state, "prepared") === undefined ? "none" : "prepared";
};

/** A new root was made: nobody trusts it yet. @throws RotationRefused `rotation-order` */
export const prepare = (state: AuthorityState, root: RootRecord): AuthorityState => {
  demand(state, "none", "prepare");
  if (rootIn(state, "active")?.keyFile === undefined) {
    throw new RotationRefused(
      "rotation-order",
      "the issuing CA was given to this config-server, which holds no root's key: change trustRoots and certificateAuthority as docs/certificates.md says",
    );
  }
  return { ...state, roots: [...state.roots, root] };
};

/** Every member is told to trust the new root. @throws RotationRefused `rotation-order` */
export const distribute = (state: AuthorityState, nowMs: number): AuthorityState => {
  demand(state, "prepared", "distribute");
  return change(state, (root) =>
    root.state === "prepared" ? { ...root, state: "distributing", sinceMs: nowMs } : root,
  );
};

/** The new root signs from now on. @throws RotationRefused `rotation-order` */
export const activate = (state: AuthorityState, nowMs: number): AuthorityState => {
  demand(state, "distributing", "activate");
  const root = next(state, "distributing");
  return root === undefined ? state : makeActive(state, root.id, nowMs);
};

/** The old root leaves the bundle. @throws RotationRefused `rotation-order`, `rotation-held-back` while leaves under it live. */
export const retire = (state: AuthorityState, nowMs: number, force: boolean): AuthorityState => {
  demand(state, "activated", "retire");
  const old = rootIn(state, "retiring");
  const untilMs = old?.leavesUntilMs ?? 0;
  if (nowMs < untilMs && !force) {
    throw new RotationRefused(
      "rotation-held-back",
      `certificates under the root ${old?.id} may live until ${new Date(untilMs).toISOString()}: wait until then, or use force, which cuts off whoever has not renewed`,
    );
  }
  return { ...state, roots: state.roots.filter((root) => root !== old) };
};

/** The new root is given up, before it has signed anything. @throws RotationRefused `rotation-order` */
export const abort = (state: AuthorityState): AuthorityState => {
  const phase = phaseOf(state);
  const root = next(state, "prepared") ?? next(state, "distributing");
  if (root === undefined || phase === "activated") throw outOfOrder(phase, "abort", "prepared or distributing");
  return { ...state, roots: state.roots.filter((each) => each !== root) };
};

/** One root signs; the one that did before is kept for its leaves. */
export const makeActive = (state: AuthorityState, id: string, nowMs: number): AuthorityState =>
  change(state, (root) => {
    if (root.id === id) return { ...root, state: "active", sinceMs: nowMs };
    if (root.state !== "active") return root;
    return { ...root, state: "retiring", sinceMs: nowMs, leavesUntilMs: nowMs + root.longestLeafMs };
  });

/** The root in a state, or `undefined`. There is at most one that retires. */
export const rootIn = (state: AuthorityState, wanted: RootState): RootRecord | undefined =>
  state.roots.find((root) => root.state === wanted);

/** A root that rotation itself made. Others that are trusted beside the active one take no part in it. */
const next = (state: AuthorityState, wanted: RootState): RootRecord | undefined =>
  state.roots.find((root) => root.state === wanted && root.keyFile !== undefined);

const change = (state: AuthorityState, each: (root: RootRecord) => RootRecord): AuthorityState => ({
  ...state,
  roots: state.roots.map(each),
});

const demand = (state: AuthorityState, wanted: RotationPhase, step: string): void => {
  const phase = phaseOf(state);
  if (phase !== wanted) throw outOfOrder(phase, step, wanted);
};

const outOfOrder = (phase: RotationPhase, step: string, wanted: string): RotationRefused => {
  const follows = { none: "prepare", prepared: "distribute", distributing: "activate", activated: "retire" }[phase];
  return new RotationRefused(
    "rotation-order",
    `${step} needs a rotation that is ${wanted === "none" ? "not begun" : wanted}; it is ${phase === "none" ? "not begun" : phase}, so ${follows} comes next`,
  );
};
