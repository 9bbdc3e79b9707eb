import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { policyFeatures } from "@tulle/policy";
import { expect, test } from "vitest";
import { decodeMemberMessage, decodeServerMessage } from "./codec.ts";
import { contentVersion } from "./content-version.ts";
import {
  COMPRESS_ABOVE_BYTES,
  HELLO_TIMEOUT_MS,
  MAX_MEMBER_MESSAGE_BYTES,
  MAX_PART_BYTES,
  MAX_RESOURCE_BYTES,
  MAX_SLICE_ENTRIES,
  MESH_PATH,
  PROTOCOL_VERSION,
} from "./limits.ts";
import { refusalCodes } from "./member-messages.ts";
import { sliceEntries } from "./slices.ts";
import { defaultTransactionLimits } from "./transaction.ts";

// The formatter pads the cells of tables.
const page = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8").replace(/ +\|/g, " |");
const section = (title: string): string => page.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
const firstCells = (text: string): string[] => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell ?? "");
const grouped = (count: number): string => count.toLocaleString("en-US");

test("each refusal code has its row, and each row its code", () => {
  expect(firstCells(section("Refusals"))).toEqual([...refusalCodes]);
});

test("each feature of policies has its row", () => {
  const rows = firstCells(section("Messages")).filter((cell) => cell.startsWith("policy:"));
  expect(rows).toEqual([...policyFeatures]);
});

test("each type of message has its row", () => {
  const known = (decode: (text: string) => unknown): string[] => {
    try {
      decode('{"type":"?"}');
      return [];
    } catch (error) {
      return String(error).split("known are ")[1]!.split(", ");
    }
  };
  const types = firstCells(section("Messages")).filter((cell) => !cell.startsWith("policy:"));
  expect(types).toEqual([...known(decodeMemberMessage), ...known(decodeServerMessage)]);
});

test("the bounds are those of the code", () => {
  for (const bound of [
    `**${PROTOCOL_VERSION}**`,
    `\`${MESH_PATH}\``,
    `${grouped(MAX_MEMBER_MESSAGE_BYTES)} bytes from a member, ${grouped(MAX_PART_BYTES)} bytes from a config-server`,
    `compressed only above ${grouped(COMPRESS_ABOVE_BYTES)} bytes`,
    `at most ${grouped(MAX_RESOURCE_BYTES)} bytes of JSON`,
    `\`hello\`, within ${HELLO_TIMEOUT_MS / 1_000} s`,
    `A node with more than ${MAX_SLICE_ENTRIES} entries`,
    `${grouped(defaultTransactionLimits.maxParts)} parts and ${defaultTransactionLimits.maxBytes / 1_048_576} MiB`,
  ]) {
    expect(page).toContain(bound);
  }
});

test("the example of a version is right", () => {
  const [, json = "", version = ""] = /`([^`]+)` has the version\s+`([^`]+)`/.exec(page) ?? [];
  expect(version).toBe(contentVersion(json));
});

test("the example of slices is right", () => {
  const rows = [...page.matchAll(/^\| `(\w)` \| `(\w{4})` \| ([01]{4}) ([01]{4}) \.\.\. \| `([01]+)` \|$/gm)];
  expect(rows).toHaveLength(4);
  const leaves = new Map<string, string[]>();
  for (const [, id = "", head = "", first = "", second = "", leaf = ""] of rows) {
    expect(hash("sha256", id, "hex").slice(0, 4), id).toBe(head);
    expect(Number.parseInt(head.slice(0, 2), 16).toString(2).padStart(8, "0"), id).toBe(first + second);
    leaves.set(leaf, [...(leaves.get(leaf) ?? []), id]);
  }
  const itself = (id: string): string => id;
  expect(new Map(sliceEntries(["a", "b", "c", "d"], itself, 2))).toEqual(leaves);
  expect(new Map(sliceEntries(["a", "b", "c"], itself, 2))).toEqual(
    new Map([
      ["0", ["b", "c"]],
      ["1", ["a"]],
    ]),
  );
});

test("every line of the session can be read by the side that it is for", () => {
  const lines = section("A session").split("\n");
  const said = (side: string): string[] =>
    lines.filter((line) => line.startsWith(`${side} {`)).map((line) => line.slice(2));
  expect(said(">").map((line) => decodeMemberMessage(line).type)).toContain("hello");
  expect(said("<").map((line) => decodeServerMessage(line).type)).toContain("welcome");
});
