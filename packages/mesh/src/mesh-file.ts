import { MAX_ENDPOINT_WEIGHT, type Policy, type PolicyProblem } from "@tulle/policy";
import { readPolicyFile } from "@tulle/policy/file";
import { isMap, LineCounter, parseAllDocuments } from "yaml";
import { z } from "zod";
import { MAX_PART_LENGTH } from "./check-locality.ts";
import type { FixedEndpoint } from "./fixed-snapshot.ts";

const weight = z.number().int().min(1).max(MAX_ENDPOINT_WEIGHT);
const address = z.string().min(1);
const port = z.number().int().min(1).max(65_535);

const part = z.string().max(MAX_PART_LENGTH).optional();

const endpointSchema = z.union([
  z.string().min(1),
  z.strictObject({
    address,
    port,
    labels: z.record(z.string(), z.string()).optional(),
    transport: z.enum(["mtls", "plaintext", "tls"]).optional(),
    id: z.string().min(1).optional(),
    weight: weight.optional(),
    serviceAccount: z.string().min(1).optional(),
    locality: z.strictObject({ region: part, zone: part, subzone: part }).optional(),
  }),
]);

const endpointsSchema = z.strictObject({
  kind: z.literal("Endpoints"),
  service: z.string().min(1),
  endpoints: z.array(endpointSchema),
});

/** What a mesh file says. */
export interface MeshFileContent {
  readonly policies: readonly Policy[];
  readonly endpoints: Readonly<Record<string, readonly (string | FixedEndpoint)[]>>;
  /** Empty: all that the file holds was read. */
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads a mesh file: documents of policies, as `tulle apply` takes them, and documents that tell where the instances of a
 * service are: `kind: Endpoints`, `service`, `endpoints` (each `host:port` or a {@link FixedEndpoint}).
 *
 * @param fileName stands in origins and problems as it is given.
 */
export const readMeshFile = (text: string, fileName: string): MeshFileContent => {
  const lines = new LineCounter();
  const endpoints: Record<string, (string | FixedEndpoint)[]> = {};
  const problems: PolicyProblem[] = [];
  let policyText = text;
  let otherDocuments = 0;
  // Nothing at all is typed as a list with a mark on it, and read as an empty list.
  for (const document of [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })]) {
    const { contents } = document;
    if (!isMap(contents) || document.get("kind") !== "Endpoints" || !contents.range) {
      if (contents !== null || document.errors.length > 0) otherDocuments += 1;
      continue;
    }
    const [start, , end] = contents.range;
    policyText = blankedOut(policyText, start, end);
    const parsed = endpointsSchema.safeParse(document.toJS());
    if (parsed.success) {
      const { service } = parsed.data;
      // Absent and undefined are one thing in a parsed file.
      const found = parsed.data.endpoints as (string | FixedEndpoint)[];
      endpoints[service] = [...(endpoints[service] ?? []), ...found];
      continue;
    }
    const { line, col } = lines.linePos(start);
    for (const issue of parsed.error.issues) {
      problems.push({
        policy: "Endpoints",
        path: issue.path.join("."),
        message: issue.message,
        origin: { file: fileName, line },
        column: col,
      });
    }
  }
  // A file of nothing but endpoints is a good mesh file; the reader of policies would miss a policy in it.
  if (otherDocuments === 0 && policyText !== text) return { policies: [], endpoints, problems };
  const read = readPolicyFile(policyText, fileName);
  return { policies: read.policies, endpoints, problems: [...problems, ...read.problems] };
};

/** Keeps every line where it is, so that the places of all other documents stay true. */
const blankedOut = (text: string, start: number, end: number): string =>
  text.slice(0, start) + text.slice(start, end).replaceAll(/[^\r\n]/g, " ") + text.slice(end);
