import type { ResourceName } from "./resource.ts";

/** What must be said to bring a peer from what it holds to what it should hold. */
export interface Delta {
  readonly upserts: readonly ResourceName[];
  readonly removals: readonly ResourceName[];
}

/**
 * Compares versions by name. Computed from what the member holds now, never from what was sent before, so a slow member
 * gets the latest and nothing between.
 */
export const delta = (
  held: Readonly<Record<ResourceName, string>>,
  wanted: ReadonlyMap<ResourceName, { readonly version: string }>,
): Delta => {
  const upserts: ResourceName[] = [];
  for (const [name, { version }] of wanted) {
    if (!Object.hasOwn(held, name) || held[name] !== version) upserts.push(name);
  }
  return { upserts, removals: Object.keys(held).filter((name) => !wanted.has(name)) };
};
