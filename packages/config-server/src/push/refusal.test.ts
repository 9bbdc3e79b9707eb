import { readFileSync } from "node:fs";
import { refusalCodes } from "@tulle/protocol";
import { expect, test } from "vitest";
import { closeCodeOf, closeCodes, httpStatusOf } from "./refusal.ts";

const page = readFileSync(new URL("../../../../docs/protocol.md", import.meta.url), "utf8").replace(/ +\|/g, " |");

test("each refusal closes the connection with the code that docs/protocol.md says", () => {
  const told = [...page.matchAll(/^\| `([a-z-]+)` \|.*\| (1\d{3}) \|$/gm)].map(([, code, close]) => [
    code,
    Number(close),
  ]);
  expect(told).toEqual(refusalCodes.map((code) => [code, closeCodeOf(code)]));
});

test("each refusal of an upgrade is answered by the status that docs/protocol.md says", () => {
  const rows = [...page.matchAll(/^\| ([45]\d\d) \| (.*) \|$/gm)];
  expect(rows.map(([, status]) => status)).toEqual(["401", "403", "404", "500", "503"]);
  const told = rows.flatMap(([, status, codes = ""]) =>
    refusalCodes.filter((code) => codes.includes(`\`${code}\``)).map((code) => [code, Number(status)]),
  );
  expect(told).toEqual(told.map(([code]) => [code, httpStatusOf(refusalCodes.find((each) => each === code)!)]));
  // What is not in the table cannot come before the upgrade, and would be a 401.
  const others = refusalCodes.filter((code) => httpStatusOf(code) !== 401);
  expect(told.map(([code]) => code)).toEqual(expect.arrayContaining(others));
});

test.each([
  ["a member's `goodbye`", closeCodes.normal],
  ["the config-server's", closeCodes.serviceRestart],
  ["so large that it is not read", closeCodes.tooLarge],
])("the page says how a connection ends without a refusal: %s", (words, code) => {
  const paragraph = page.split("\n\n").find((each) => each.startsWith("A connection that ends without a refusal"));
  expect(paragraph).toContain(words);
  expect(paragraph).toContain(String(code));
});
