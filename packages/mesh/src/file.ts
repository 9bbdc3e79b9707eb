import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { PolicyError } from "@tulle/policy";
import { formatProblem } from "@tulle/policy/file";
import { systemClock, type Timer } from "@tulle/time";
import { type CreateMeshOptions, createFixedMesh } from "./create-mesh.ts";
import type { Mesh } from "./mesh.ts";
import { type MeshFileContent, readMeshFile } from "./mesh-file.ts";
import { silentLogger } from "./mesh-options.ts";

// The entry of the package that needs yaml and zod, which are optional peers.

/** How a mesh is made from a file: all of {@link createMesh}'s options but the values that the file holds. */
export type MeshFromFileOptions = Omit<CreateMeshOptions, "policies" | "endpoints">;

/** Editors and config maps write in several steps; a change is read when it has been quiet for this long. */
const SETTLE_MS = 50;

/**
 * A mesh whose policies and endpoints are those of a file, also after the file changes: for tests, local work and scripts.
 * A change that cannot be read is told to the logger, and the last good content stays in force. The folder is watched rather
 * than the file, since editors and Kubernetes replace files instead of writing them.
 *
 * @throws PolicyError with every problem of the file as it is now.
 */
export const meshFromFile = async (path: string, options: MeshFromFileOptions = {}): Promise<Mesh> => {
  const file = resolve(path);
  const logger = options.logger ?? silentLogger;
  const clock = options.clock ?? systemClock;
  let text = await readFile(file, "utf8");
  let settling: Timer | undefined;
  const mesh = createFixedMesh({ ...options, ...goodContent(text, path) }, () => {
    watcher.close();
    settling?.cancel();
  });

  const reread = async (): Promise<void> => {
    try {
      const next = await readFile(file, "utf8");
      if (next === text) return;
      text = next;
      mesh.update(goodContent(next, path));
      logger.info(`${path} was changed and is in force`);
    } catch (error) {
      const problems = error instanceof PolicyError ? error.problems : [];
      const told = problems.map((problem) => formatProblem(problem, text));
      const what = told.length > 0 ? `\n${told.join("\n")}` : ` ${String(error)}`;
      logger.error(`${path} was changed and cannot be used, the last good content stays:${what}`);
    }
  };
  const watcher = watch(dirname(file), { persistent: false }, () => {
    settling?.cancel();
    settling = clock.after(SETTLE_MS, () => void reread());
  });
  watcher.on("error", (error) => logger.error(`${basename(file)} is not watched any more: ${error.message}`));
  return mesh;
};

const goodContent = (text: string, path: string): Pick<MeshFileContent, "policies" | "endpoints"> => {
  const { policies, endpoints, problems } = readMeshFile(text, path);
  if (problems.length > 0) throw new PolicyError(problems);
  return { policies, endpoints };
};
