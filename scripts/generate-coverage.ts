import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderCoverage } from "./render-coverage.ts";

writeFileSync(join(import.meta.dirname, "..", "docs", "translation-coverage.md"), renderCoverage());
