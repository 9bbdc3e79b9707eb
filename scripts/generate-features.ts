// Writes docs/features.md. By hand, after a change of scripts/features:
//   node scripts/generate-features.ts
import { writeFileSync } from "node:fs";
import { featureRows } from "./features/feature-rows.ts";
import { renderFeatures } from "./features/render-features.ts";

writeFileSync(new URL("../docs/features.md", import.meta.url), renderFeatures(featureRows));
