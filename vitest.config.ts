import { defineConfig } from "vitest/config";

// Tests meet the packages' sources, never a dist that may be stale: each export offers its source under this condition.
// NODE_OPTIONS hands the same condition to the processes that a test starts.
const SOURCE = "@tulle/source";
const slow = "**/*.slow.test.ts";
const ignored = ["**/node_modules/**", "**/dist/**"];

export default defineConfig({
  resolve: { conditions: [SOURCE] },
  ssr: {
    resolve: { conditions: [SOURCE, "module", "node", "development|production"], externalConditions: [SOURCE, "node"] },
  },
  test: {
    env: { NODE_OPTIONS: `--conditions=${SOURCE}` },
    pool: "forks",
    // How long a test waits for what must come; how soon it comes is the machine's matter. The default of a second was not
    // enough for a process that starts on a busy machine.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "examples/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
          exclude: [...ignored, slow],
          testTimeout: 5_000,
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", "benchmarks/**/*.test.ts"],
          exclude: [...ignored, slow],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: "slow",
          include: [slow],
          exclude: ignored,
          testTimeout: 180_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
