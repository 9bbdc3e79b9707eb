import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readPolicyFiles } from "@tulle/policy/file";
import { describe, expect, test } from "vitest";
import { featureRows } from "./feature-rows.ts";
import { renderFeatures } from "./render-features.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

test("docs/features.md is what the rows say", () => {
  expect(read("docs/features.md")).toBe(renderFeatures(featureRows));
});

test("each row stands there once", () => {
  const numbers = featureRows.map(({ row }) => row);
  expect(numbers).toEqual([...new Set(numbers)]);
});

test("the rows of balancing, routing and resilience, and identity are all there", () => {
  const numbers = new Set(featureRows.map(({ row }) => row));
  const wanted = [...range(4, 51), 55, ...range(59, 67), ...range(69, 79)];
  expect(wanted.filter((row) => !numbers.has(row))).toEqual([]);
});

describe.each(featureRows.map((row) => ({ ...row, label: `${row.row} ${row.capability}` })))("$label", (row) => {
  test("is proven by a test, or left out with a reason", () => {
    expect(row.tests.length > 0 || (row.leftOut ?? "") !== "").toBe(true);
  });

  test.each(row.tests.map(([file, title]) => ({ file, title })))("$file: $title", ({ file, title }) => {
    expect(read(file)).toMatch(new RegExp(`\\(\\s*(["'\`])${escaped(title)}\\1,`));
  });

  for (const example of row.example === undefined ? [] : [row.example]) {
    test("its example would be applied", () => {
      expect(problemsOf(example)).toEqual([]);
    });
  }
});

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** References are checked among the example's own policies and a service that all examples may name. */
const problemsOf = (yaml: string): readonly unknown[] =>
  readPolicyFiles([
    { name: "example.yaml", text: yaml },
    { name: "reviews.yaml", text: /kind: Service,?\s+name: reviews/.test(yaml) ? "[]" : COMMON_SERVICES },
  ]).problems.filter(({ message }) => message !== "the file holds no policy");

const COMMON_SERVICES = `
{ kind: Service, name: reviews, subsets: { v1: { version: v1 }, v2: { version: v2 } } }
---
{ kind: Service, name: ratings }
`;
