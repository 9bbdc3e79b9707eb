import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

interface LockEntry {
  version?: string;
  resolved?: string;
  link?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}
interface Manifest {
  name: string;
  version: string;
  private?: boolean;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  scripts?: Record<string, string>;
}

const root = join(import.meta.dirname, "..");
const readJson = <T>(...path: string[]): T => JSON.parse(readFileSync(join(root, ...path), "utf8")) as T;
const lock = readJson<{ packages: Record<string, LockEntry> }>("package-lock.json").packages;
const folders = readdirSync(join(root, "packages")).filter((folder) =>
  existsSync(join(root, "packages", folder, "package.json")),
);
const manifests = new Map(folders.map((folder) => [folder, readJson<Manifest>("packages", folder, "package.json")]));
const folderOf = new Map([...manifests].map(([folder, manifest]) => [manifest.name, folder]));
const ownDependencies = (manifest: Manifest): string[] =>
  Object.keys(manifest.dependencies ?? {}).flatMap((name) => folderOf.get(name) ?? []);

/** What each package may depend on, from the ground up; `testing` may use all. A new package gets its line here. */
const mayImport: Record<string, readonly string[]> = {
  policy: [],
  time: [],
  protocol: ["policy", "time"],
  translate: ["policy"],
  client: ["policy", "time"],
  server: ["policy", "time"],
  agent: ["policy", "time", "protocol", "client", "server"],
  "config-server": ["policy", "time", "protocol"],
  mesh: ["policy", "time", "protocol", "client", "server", "agent"],
  cli: ["policy", "time", "protocol", "translate", "client", "server", "agent", "config-server", "mesh"],
  testing: folders.filter((folder) => folder !== "testing"),
};

describe("majors that an npm under an old Node would silently lower", () => {
  test.each([
    ["undici", 8],
    ["opossum", 10],
    ["p-retry", 9],
  ])("%s is %i.x, locked and installed", (name, major) => {
    const path = `node_modules/${name}`;
    expect(lock[path]?.version).toMatch(new RegExp(`^${major}\\.`));
    expect(readJson<Manifest>(path, "package.json").version).toBe(lock[path]?.version);
    const copies = Object.keys(lock).filter(
      (key) => key.endsWith(`/node_modules/${name}`) && key.startsWith("packages/"),
    );
    expect(copies, "a package of ours has its own copy").toEqual([]);
  });
});

describe("what an application installs with tulle", () => {
  const { ours, theirs } = runtimeClosure("tulle");

  test("is our own packages, the five libraries, the one for tokens, and what those need", () => {
    expect([...theirs].sort()).toEqual(["is-network-error", "jose", "lru-cache", "opossum", "p-retry", "undici", "ws"]);
    expect([...ours].sort()).toEqual([
      "@tulle/agent",
      "@tulle/client",
      "@tulle/policy",
      "@tulle/protocol",
      "@tulle/server",
      "@tulle/time",
      "tulle",
    ]);
  });

  test("runs no install script", () => {
    for (const name of theirs) expect(lock[`node_modules/${name}`]?.hasInstallScript, name).toBeUndefined();
    for (const name of ours) {
      const scripts = Object.keys(manifests.get(folderOf.get(name) ?? "")?.scripts ?? {});
      expect(
        scripts.filter((script) => /^(pre|post)?(install|prepare)$/.test(script)),
        name,
      ).toEqual([]);
    }
  });

  test("asks for no peer but the telemetry interface", () => {
    for (const name of ours) {
      const manifest = manifests.get(folderOf.get(name) ?? "");
      const needed = Object.keys(manifest?.peerDependencies ?? {}).filter(
        (peer) => manifest?.peerDependenciesMeta?.[peer]?.optional !== true,
      );
      expect(
        needed.filter((peer) => peer !== "@opentelemetry/api"),
        name,
      ).toEqual([]);
    }
  });
});

describe("the direction of imports", () => {
  test("every package has its line in the table", () => {
    expect([...folders].sort()).toEqual(Object.keys(mayImport).sort());
  });

  test.each(folders)("%s depends only on what lies below it", (folder) => {
    const manifest = manifests.get(folder);
    const allowed = mayImport[folder] ?? [];
    expect(ownDependencies(manifest!).filter((name) => !allowed.includes(name))).toEqual([]);
  });

  test.each(folders)("the project references of %s are its dependencies", (folder) => {
    const { references = [] } = readJson<{ references?: { path: string }[] }>("packages", folder, "tsconfig.json");
    const referenced = references.map(({ path }) => path.replace(/^\.\.\//, ""));
    expect(referenced.sort()).toEqual(ownDependencies(manifests.get(folder)!).sort());
  });

  test.each(folders)("%s never imports itself by its name", (folder) => {
    const self = new RegExp(`(?:from|import\\(?)\\s*"${manifests.get(folder)?.name}["/]`);
    const source = join(root, "packages", folder, "src");
    const guilty = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .filter((file) => self.test(withoutComments(readFileSync(join(source, file), "utf8"))));
    expect(guilty).toEqual([]);
  });
});

test("the packages share one version and depend on each other in exactly that one", () => {
  const version = manifests.get("mesh")?.version;
  for (const manifest of manifests.values()) {
    expect(manifest.version, manifest.name).toBe(version);
    for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
      if (folderOf.has(name)) expect(range, `${manifest.name} on ${name}`).toBe(version);
    }
  }
});

test("the lock file names no host", () => {
  const hosts = Object.entries(lock).filter(([, entry]) => entry.resolved !== undefined && entry.link !== true);
  expect(hosts.map(([path]) => path)).toEqual([]);
});

/** All that `npm install name` brings, optional peers aside. */
function runtimeClosure(name: string): { ours: Set<string>; theirs: Set<string> } {
  const ours = new Set<string>();
  const theirs = new Set<string>();
  const visit = (dependency: string): void => {
    if (ours.has(dependency) || theirs.has(dependency)) return;
    const folder = folderOf.get(dependency);
    (folder === undefined ? theirs : ours).add(dependency);
    const entry = lock[folder === undefined ? `node_modules/${dependency}` : `packages/${folder}`];
    if (entry === undefined) throw new Error(`${dependency} is not in the lock file`);
    for (const next of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) visit(next);
  };
  visit(name);
  return { ours, theirs };
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
