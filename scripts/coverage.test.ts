import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderCoverage } from "./render-coverage.ts";

test("the coverage page says what the translators' tables say", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "docs", "translation-coverage.md"), "utf8");
  expect(page, "run node scripts/generate-coverage.ts").toBe(renderCoverage());
});
