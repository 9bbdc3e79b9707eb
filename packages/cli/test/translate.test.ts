import { mkdtemp, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigServer, createConfigServer } from "@tulle/config-server";
import { definePolicies, type Policy } from "@tulle/policy";
import { readPolicyFile } from "@tulle/policy/file";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Captured, run as runCommand } from "./captured-terminal.ts";

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: reviews }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
`;

const VIRTUAL_SERVICE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  gateways: [mesh]
  http:
  - match:
    - headers: { end-user: { exact: jason } }
      statPrefix: jason
    timeout: 2s
    route: [{ destination: { host: reviews } }]
  - route: [{ destination: { host: reviews } }]
`;

let folder: string;
let server: ConfigServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-"));
  server = await createConfigServer({ stateDir: join(folder, "state"), port: 0, adminPort: 0 });
});

afterEach(() => server.close());

const run = (...argv: readonly string[]): Promise<Captured> =>
  runCommand(argv, { environment: { TULLE_STATE_DIR: join(folder, "state") } });

const write = async (name: string, text: string): Promise<string> => {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
};

const withoutOrigins = (policies: readonly Policy[]): unknown =>
  JSON.parse(JSON.stringify(policies, (key, value: unknown) => (key === "origin" ? undefined : value)));

describe("tulle translate", () => {
  test("prints YAML that means the same when it is read again, under comments that name the documents", async () => {
    const file = await write("shop.yaml", `${SERVICE}---\n${VIRTUAL_SERVICE}`);
    const { code, out, error } = await run("translate", file);
    expect(code).toBe(0);
    expect(out).toContain(`# Service/default/reviews, ${file}:1\nkind: Service\n`);
    expect(out).toContain(`# VirtualService/default/reviews, ${file}:8\nkind: Route\n`);
    expect(error).toMatch(
      /^no meaning here: .*shop.yaml:17:7 VirtualService\/default\/reviews spec.http\[0\].match\[0\].statPrefix/,
    );
    const read = readPolicyFile(out, "printed.yaml");
    expect(read.problems).toEqual([]);
    const told = JSON.parse((await run("translate", "--json", file)).out) as { policies: readonly Policy[] };
    expect(withoutOrigins(read.policies)).toEqual(withoutOrigins(told.policies));
    expect(told.policies[1]?.origin).toEqual({ file, line: 8 });
  });

  test("prints TypeScript that means the same", async () => {
    const file = await write("shop.yaml", `${SERVICE}---\n${VIRTUAL_SERVICE}`);
    const { out } = await run("translate", "-o", "ts", file);
    const body = stripTypeScriptTypes(out)
      .replace(/^import .*$/m, "")
      .replace("export default", "return");
    const printed = new Function("definePolicies", body)(definePolicies) as readonly Policy[];
    const told = JSON.parse((await run("translate", "--json", file)).out) as { policies: readonly Policy[] };
    expect(withoutOrigins(printed)).toEqual(withoutOrigins(told.policies));
  });

  test("refuses what cannot be taken, with the place and the line, and prints the rest", async () => {
    const wrong = VIRTUAL_SERVICE.replace("timeout: 2s", "timeout: soon");
    const file = await write("shop.yaml", `${SERVICE}---\n${wrong}`);
    const { code, out, error } = await run("translate", file);
    expect(code).toBe(1);
    expect(out).toContain("kind: Service");
    expect(out).not.toContain("kind: Route");
    expect(error).toContain('spec.http[0].timeout: "soon" is not a duration');
    expect(error).toContain("18 |     timeout: soon");
    expect(error).toContain("1 document is refused");
  });

  test("with --strict refuses what has no meaning here", async () => {
    const file = await write("shop.yaml", VIRTUAL_SERVICE);
    expect((await run("translate", file)).code).toBe(0);
    expect((await run("translate", "--strict", file)).code).toBe(1);
  });

  test("with --report says how much carries over, and what stands in the way", async () => {
    const file = await write(
      "shop.yaml",
      [
        SERVICE,
        VIRTUAL_SERVICE,
        VIRTUAL_SERVICE.replaceAll("reviews", "ratings").replace("2s", "soon"),
        "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n",
      ].join("---\n"),
    );
    const { code, out } = await run("translate", "--report", file);
    expect(code).toBe(0);
    expect(out).toContain("Secret\t1\t0\t0\t0\t1\n");
    expect(out).toContain("VirtualService\t2\t0\t1\t1\t0\n");
    expect(out).toContain("66.7 % of the documents about policy carry over, as 2 policies\n");
    expect(out).toContain('1 × "soon" is not a duration');
    expect(out).toMatch(/shop\.yaml:\d+ VirtualService\/default\/ratings spec\.http\[0\]\.timeout/);
  });
});

describe("tulle apply", () => {
  test("takes documents as they are, and policies beside them, as one revision", async () => {
    await write("reviews.yaml", SERVICE);
    await write("routes.yaml", VIRTUAL_SERVICE);
    await write("ours.yaml", "kind: Service\nname: ratings\n");
    const files = ["reviews.yaml", "routes.yaml", "ours.yaml"].map((name) => join(folder, name));
    const { code, out, error } = await run("apply", "-f", ...files);
    expect({ code, error }).toMatchObject({ code: 0, error: expect.stringContaining("no meaning here") });
    for (const key of ["Route/default/reviews", "Service/default/ratings", "Service/default/reviews"]) {
      expect(out).toContain(`${key}\tcreated\n`);
    }
    expect(out).toMatch(/revision\t\w+\.1\n/);
    expect((await run("get")).out).toContain("routes.yaml:1");
    expect((await run("apply", "-f", ...files)).out).toContain("revision");
  });

  test("changes nothing when a document is refused", async () => {
    const file = await write("shop.yaml", `${SERVICE}---\n${VIRTUAL_SERVICE.replace("2s", "soon")}`);
    const { code, error } = await run("apply", "-f", file);
    expect(code).toBe(1);
    expect(error).toContain("1 document is refused; nothing was changed");
    expect(JSON.parse((await run("get", "--json")).out)).toMatchObject({ policies: [] });
  });

  test("tells the conditions of the Gateway API's routes", async () => {
    const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: split }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews }]
  rules: [{ backendRefs: [{ name: nowhere, port: 80 }] }]
`;
    const file = await write("shop.yaml", `${SERVICE}---\n${route}`);
    const { code, error } = await run("apply", "-f", file);
    expect(code).toBe(0);
    expect(error).toContain(
      "HTTPRoute/default/split under Service/default/reviews: ResolvedRefs=False (BackendNotFound): there is no Service nowhere in default",
    );
    const { statuses } = JSON.parse((await run("apply", "--json", "-f", file)).out) as { statuses: unknown };
    expect(statuses).toMatchObject([
      {
        parent: "Service/default/reviews",
        conditions: [
          { type: "Accepted", status: "True" },
          { type: "ResolvedRefs", status: "False" },
        ],
      },
    ]);
  });

  test("leaves what documents say nothing about as the config-server has it", async () => {
    const ours = "kind: Service\nname: reviews\nport: 9080\nsubsets: { v0: { version: v0 } }\n";
    await run("apply", await write("ours.yaml", ours));
    const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }
`;
    expect(await run("apply", await write("rule.yaml", rule))).toMatchObject({ code: 0, error: "" });
    expect((await run("get", "service", "reviews")).out).toBe(
      "kind: Service\nname: reviews\nnamespace: default\nport: 9080\nsubsets:\n  v1:\n    version: v1\n",
    );
  });

  test("keeps the places of documents: status says what is in force for a service, and where it came from", async () => {
    const deny = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny-all }
spec: {}
`;
    await write("reviews.yaml", SERVICE);
    await write("routes.yaml", VIRTUAL_SERVICE);
    await write("access.yaml", `# nobody may call\n\n${deny}`);
    const files = ["reviews.yaml", "routes.yaml", "access.yaml"].map((name) => join(folder, name));
    expect((await run("apply", "-f", ...files)).code).toBe(0);
    const { out } = await run("status", "reviews");
    expect(out).toContain(`Service\tdefault\treviews\t${files[0]}:1\n`);
    expect(out).toContain(`Route\tdefault\treviews\t${files[1]}:1\n`);
    expect(out).toContain(`Access\tdefault\tdeny-all\t${files[2]}:3\n`);
    expect((await run("status")).out).not.toContain("deny-all");
  });

  test("looks for what a route leads to among the services of the config-server", async () => {
    await run("apply", await write("ours.yaml", "kind: Service\nname: reviews\n---\nkind: Service\nname: other\n"));
    const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: split }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews }]
  rules: [{ backendRefs: [{ name: other, port: 80 }] }]
`;
    const { code, error } = await run("apply", await write("route.yaml", route));
    expect({ code, error }).toEqual({ code: 0, error: "" });
  });
});
