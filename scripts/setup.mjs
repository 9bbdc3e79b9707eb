// Installs what is missing before `npm start` and `npm test`. Plain JavaScript without dependencies: it runs on a bare
// clone, with whatever Node the machine has (20 or newer), while every later script runs on the Node that it installs.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const OLDEST_NODE = [22, 19];
const LOCK_WAIT_MS = 15 * 60_000;
/** A lock without a readable owner is taken over after this time: its owner died between making it and signing it. */
const UNSIGNED_LOCK_MS = 5_000;
const TAIL_LINES = 30;

/**
 * Why node_modules does not match the lock file, or undefined when it does. It compares with the record that npm keeps of
 * its last install, so an install made by hand counts.
 * @param {string} folder
 * @returns {string | undefined}
 */
export function staleReason(folder) {
  const wanted = readLock(join(folder, "package-lock.json"));
  if (wanted === undefined) throw new Error("package-lock.json is missing or is not JSON");
  const installed = readLock(join(folder, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "nothing is installed yet";
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/")) continue;
    const found = installed[path];
    if (found === undefined || !existsSync(join(folder, path))) {
      if (entry.optional || entry.devOptional) continue; // another platform's binary, as a rule
      return `${path} is missing`;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is ${found.version ?? "another copy"}, the lock file wants ${entry.version ?? "a link"}`;
    }
  }
  for (const path of Object.keys(installed)) {
    if (path.startsWith("node_modules/") && wanted[path] === undefined) return `${path} is not in the lock file`;
  }
  return undefined;
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return undefined;
  }
}

/** Runs one at a time per clone; a lock whose owner is gone is taken over. */
async function underLock(work) {
  const lock = join(root, ".setup-lock");
  const owner = join(lock, "pid");
  const giveUpAt = Date.now() + LOCK_WAIT_MS;
  for (let told = false; ; ) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!ownerLives(lock, owner)) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    if (Date.now() > giveUpAt) throw new Error(`another setup still holds ${lock}; remove it if that one is dead`);
    if (!told) say("waiting for another setup in this clone");
    told = true;
    await sleep(250);
  }
  try {
    writeFileSync(owner, String(process.pid));
    return await work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function ownerLives(lock, owner) {
  try {
    process.kill(Number(readFileSync(owner, "utf8")), 0);
    return true;
  } catch (error) {
    if (error.code === "EPERM") return true;
    if (error.code !== "ENOENT") return false;
    try {
      return Date.now() - statSync(lock).mtimeMs < UNSIGNED_LOCK_MS;
    } catch {
      return false;
    }
  }
}

/** `npm ci` by the npm that called us. Without lifecycle scripts: no dependency needs its own, and the caller builds. */
function install() {
  const npm = process.env.npm_execpath;
  const flags = ["ci", "--ignore-scripts", "--include=dev", "--include=optional", "--prefer-offline"];
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const [command, args] =
    npm?.endsWith(".js") === true ? [process.execPath, [npm, ...flags, ...quiet]] : ["npm", [...flags, ...quiet]];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      shell: command === "npm" && process.platform === "win32",
    });
    let output = "";
    const keep = (text) => {
      output = (output + text).slice(-20_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const ticker = setInterval(() => say("still installing"), 15_000);
    child.on("error", (error) => {
      clearInterval(ticker);
      reject(new Error(`npm could not be started: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      clearInterval(ticker);
      if (code === 0) return resolve();
      const lines = output
        .trim()
        .split("\n")
        .filter((line) => !/^npm error\s+at /.test(line)); // without npm's own stack
      const tail = lines.slice(-TAIL_LINES).join("\n");
      reject(new Error(`npm ci failed (${signal ?? `exit code ${code}`}). It said:\n\n${tail}\n`));
    });
  });
}

/** The next script finds its Node in node_modules/.bin, or else on the machine; one of the two must be new enough. */
function checkNode() {
  const own = join(root, "node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (existsSync(own)) return;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new Error(
    `Node ${OLDEST_NODE.join(".")} or newer is needed. This repository brings its own for Linux, Windows and Intel Macs, ` +
      `but not for ${process.platform} ${process.arch}, and the one on PATH is ${process.version}.`,
  );
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

async function main() {
  if (staleReason(root) !== undefined) {
    await underLock(async () => {
      const reason = staleReason(root); // the setup that we waited for may have done the work
      if (reason === undefined) return;
      say(`${reason}; installing, this takes about half a minute`);
      const startedAt = Date.now();
      await install();
      const left = staleReason(root);
      if (left !== undefined) throw new Error(`npm ci ended well, but ${left}`);
      say(`installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
    });
  }
  checkNode();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`\nsetup failed: ${error.message}\n`);
    process.exitCode = 1;
  }
}
