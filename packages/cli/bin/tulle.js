#!/usr/bin/env node

const OLDEST = [22, 19];
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

// Loaded only when it can run: an older Node.js would end with a stack trace from the depths of a dependency.
if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) {
  const { runCli } = await import("@tulle/cli");
  process.exitCode = await runCli(process.argv.slice(2));
} else {
  console.error(
    `tulle needs Node.js ${OLDEST.join(".")} or newer; this is ${process.versions.node} (${process.execPath})`,
  );
  process.exitCode = 2;
}
