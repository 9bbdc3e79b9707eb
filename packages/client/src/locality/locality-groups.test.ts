import { seededRandom } from "@tulle/testing";
import { balanced } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import type { Balanced } from "../balancing/picker.ts";
import { createPicker } from "../balancing/picker.ts";
import { LocalityGroups } from "./locality-groups.ts";

const groupsByZone = (labels?: Readonly<Record<string, string>>): LocalityGroups =>
  new LocalityGroups({
    groupOf: ({ locality }) => ({ name: locality?.zone ?? "", order: locality?.zone === "near" ? 0 : 1 }),
    makePicker: () => createPicker({ algorithm: "random" }, { random: seededRandom(1) }),
    labels,
  });
const inZone = (zone: string, id: string, changes: Parameters<typeof balanced>[1] = {}): Balanced =>
  balanced(id, { locality: { zone }, ...changes });
const idsOf = (members: readonly Balanced[]): readonly string[] => members.map(({ endpoint }) => endpoint.id);

test("groups come the nearest first, then by name", () => {
  const all = [inZone("b", "1"), inZone("a", "2"), inZone("near", "3"), inZone("b", "4")];
  const groups = groupsByZone().group(all, all);
  expect(groups.map(({ name, members }) => [name, idsOf(members)])).toEqual([
    ["near", ["3"]],
    ["a", ["2"]],
    ["b", ["1", "4"]],
  ]);
});

test("those that may not be called are counted, not called; those of other labels neither", () => {
  const [one, gone, other] = [
    inZone("a", "one", { labels: { version: "v1" }, weight: 2 }),
    inZone("a", "gone", { labels: { version: "v1" } }),
    inZone("a", "other", { labels: { version: "v2" } }),
  ];
  const [group] = groupsByZone({ version: "v1" }).group([one], [gone, other, one]);
  expect(group).toMatchObject({ total: 2, weight: 3, members: [one] });
});

test("candidates that stand in another order, or in no registry, are found", () => {
  const [a, b, stranger] = [inZone("a", "1"), inZone("b", "2"), inZone("a", "3")];
  const groups = groupsByZone().group([b, a, stranger], [a, b]);
  expect(groups.map(({ name, members }) => [name, idsOf(members)])).toEqual([
    ["a", ["1", "3"]],
    ["b", ["2"]],
  ]);
});

test("a group keeps its picker, and its list while its members stay", () => {
  const groups = groupsByZone();
  const near = [inZone("near", "1"), inZone("near", "2")];
  const [before] = groups.group(near, near);
  const more = [...near, inZone("b", "3")];
  const [after] = groups.group(more, more);
  expect(after?.members).toBe(before?.members);
  expect(after?.picker).toBe(before?.picker);
  expect(groups.pickerOf(near[0]!.endpoint)).toBe(after?.picker);
  const less = near.slice(1);
  expect(groups.group(less, less)[0]?.members).toEqual(less);
});

test("a zone without endpoints is no group, and comes back as it was", () => {
  const groups = groupsByZone();
  const all = [inZone("near", "1"), inZone("b", "2")];
  const picker = groups.group(all, all)[1]?.picker;
  const near = all.slice(0, 1);
  expect(groups.group(near, near).map(({ name }) => name)).toEqual(["near"]);
  expect(groups.group(all, all)[1]?.picker).toBe(picker);
});

test("names that never come back do not fill the memory", () => {
  const groups = groupsByZone();
  const first = [inZone("near", "1")];
  const picker = groups.group(first, first)[0]?.picker;
  const many = Array.from({ length: 1_001 }, (_, place) => inZone(`zone-${place}`, String(place)));
  groups.group(many, many);
  expect(groups.group(first, first)).toMatchObject([{ name: "near", total: 1 }]);
  expect(groups.pickerOf(first[0]!.endpoint)).not.toBe(picker);
});
