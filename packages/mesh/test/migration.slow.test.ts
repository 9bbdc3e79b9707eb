import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import type { Policy } from "@tulle/policy";
import { readPolicyFile } from "@tulle/policy/file";
import type { PlaintextReport } from "@tulle/protocol";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Mesh } from "../src/mesh.ts";
import type { MeshMode } from "../src/mesh-options.ts";
import { clusterNetwork } from "./support/cluster-network.ts";
import { tulle } from "./support/command-line.ts";
import { startMesh } from "./support/mesh-fixture.ts";

type ServiceName = "productpage" | "details" | "reviews" | "ratings";

/** Each service has an address of its own, as pods have. */
const addresses: Readonly<Record<ServiceName, string>> = {
  productpage: "127.0.9.1",
  details: "127.0.9.2",
  reviews: "127.0.9.3",
  ratings: "127.0.9.4",
};

const versions: Readonly<Record<ServiceName, readonly string[]>> = {
  productpage: ["v1"],
  details: ["v1"],
  reviews: ["v1", "v2", "v3"],
  ratings: ["v1"],
};

/** What each service asks of others before it answers. Only the calls of productpage to reviews are not idempotent. */
const calls: Readonly<Record<ServiceName, readonly (readonly [method: string, url: string])[]>> = {
  productpage: [
    ["GET", "http://details/details/0"],
    ["POST", "http://reviews/reviews/0"],
  ],
  details: [],
  reviews: [["GET", "http://ratings/ratings/0"]],
  ratings: [],
};

const examplePolicies = (file: string): readonly Policy[] => {
  const path = fileURLToPath(new URL(`../../../examples/bookinfo/policies/${file}`, import.meta.url));
  return readPolicyFile(readFileSync(path, "utf8"), file).policies;
};

const base = [...examplePolicies("services.yaml"), ...examplePolicies("reviews-route.yaml")];

const strict = (service: ServiceName): readonly Policy[] => [
  { kind: "Authentication", name: service, selector: { service }, mtls: { mode: "strict" } },
  // The example lets productpage read reviews only; here its calls are of a kind that nobody may repeat.
  ...examplePolicies("access.yaml")
    .filter(({ name }) => name === service)
    .map((policy) =>
      policy.kind === "Access" && service === "reviews"
        ? { ...policy, rules: (policy.rules ?? []).map(({ to: _, ...rule }) => rule) }
        : policy,
    ),
];

/** How long ago a caller may have come to count as one that still comes. */
const SINCE = "4s";

test("bookinfo moves from permissive to strict, service by service under traffic: no request fails, and the report empties", async () => {
  const network = clusterNetwork();
  onTestFinished(() => network.close());
  await using fixture = await startMesh([{ kind: "Mesh", name: "mesh", mtls: "permissive" }, ...base]);

  const running = new Map<ServiceName, readonly Mesh[]>();
  let generation = 0;

  const start = async (service: ServiceName, version: string, mode: MeshMode) => {
    const host = addresses[service];
    const mesh = await fixture.join({
      service,
      mode,
      labels: { version },
      instanceId: `${service}-${version}-${generation}`,
      advertise: host,
      outside: network.dispatcherFrom(host),
      dependencies: calls[service].map(([, url]) => new URL(url).hostname),
    });
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      request.resume();
      try {
        const answers = await Promise.all(
          calls[service].map(([method, url]) =>
            mesh.fetch(url, {
              method,
              headers: { "user-agent": service },
              ...(method === "POST" ? { body: "x" } : {}),
            }),
          ),
        );
        const bad = answers.find(({ status }) => status !== 200);
        const texts = await Promise.all(answers.map((each) => each.text()));
        response.writeHead(bad === undefined ? 200 : 502).end(`${service} ${version} (${texts.join(", ")})`);
      } catch (error) {
        response.writeHead(502).end(`${service} ${version}: ${String(error)} ${String((error as Error).cause ?? "")}`);
      }
    };
    const app = createServer((request, response) => void answer(request, response));
    const listener = await mesh.listen(app, {
      port: 0,
      host,
      drainTimeout: "10s",
      public: [{ port: 0, host }],
      signals: false,
    });
    return { mesh, host, port: listener.port, publicPort: listener.publicPorts[0] ?? 0 };
  };

  /** Starts all instances of a service in a mode, turns new connections to them, and lets the old ones drain. */
  const deploy = async (service: ServiceName, mode: MeshMode): Promise<void> => {
    generation++;
    const started = await Promise.all(versions[service].map((version) => start(service, version, mode)));
    network.route(service, started);
    // Browsers come by the public listener.
    network.route(
      `${service}.example`,
      started.map(({ host, publicPort }) => ({ host, port: publicPort })),
    );
    const before = running.get(service) ?? [];
    running.set(
      service,
      started.map(({ mesh }) => mesh),
    );
    await Promise.all(before.map((mesh) => mesh.leave()));
  };

  /** The lines of `tulle plaintext`, as `service from caller (agent)`. */
  const report = async (): Promise<readonly string[]> => {
    const { callers } = await tulle<PlaintextReport>(fixture, "plaintext", "--since", SINCE);
    return [
      ...new Set(callers.map(({ service, from, userAgent }) => `${service} from ${from.join()} (${userAgent})`)),
    ].sort();
  };
  const reported = (lines: readonly string[]): Promise<void> =>
    vi.waitFor(async () => expect(await report()).toEqual(lines), { timeout: 40_000, interval: 500 });

  const fromPage = (service: ServiceName): string => `default/${service} from default/productpage (productpage)`;
  const ratingsFromReviews = "default/ratings from default/reviews (reviews)";

  for (const service of ["ratings", "details", "reviews", "productpage"] as const) await deploy(service, "observe");

  const browser = network.dispatcherFrom("127.0.9.100");
  const failures: string[] = [];
  let pages = 0;
  let going = true;
  const visit = async (): Promise<void> => {
    while (going) {
      const { statusCode, body } = await browser.request({
        origin: "http://productpage.example",
        path: "/productpage",
        method: "GET",
      });
      const text = await body.text();
      if (statusCode !== 200) failures.push(`${statusCode} ${text}`);
      pages++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const browsers = [visit(), visit(), visit()].map((each) =>
    each.catch((error: unknown) => failures.push(String(error))),
  );
  const morePages = (count: number): Promise<void> => {
    const goal = pages + count;
    return vi.waitFor(() => expect(pages).toBeGreaterThan(goal), { timeout: 30_000 });
  };

  // Every edge of bookinfo comes in plaintext, and is named.
  await reported([fromPage("details"), ratingsFromReviews, fromPage("reviews")]);

  // The page's calls go through the mesh: only the stars are still asked for in plaintext.
  await deploy("productpage", "full");
  await reported([ratingsFromReviews]);

  await deploy("details", "full");
  await fixture.admin.apply(strict("details"));
  await morePages(100);

  await deploy("reviews", "full");
  await reported([]);
  await fixture.admin.apply(strict("reviews"));
  await morePages(100);

  await deploy("ratings", "full");
  await fixture.admin.apply([...strict("ratings"), ...strict("productpage")]);
  await morePages(100);

  await fixture.admin.apply([{ kind: "Mesh", name: "mesh", mtls: "strict" }]);
  await morePages(100);

  going = false;
  await Promise.all(browsers);
  expect(failures).toEqual([]);
  expect(pages).toBeGreaterThan(400);

  // And strict it is: nobody gets in at the side any more.
  const stranger = network.dispatcherFrom("127.0.9.101");
  for (const service of ["details", "reviews", "ratings"] as const) {
    await expect(
      stranger.request({ origin: `http://${service}`, path: "/", method: "GET" }),
      service,
    ).rejects.toThrow();
  }
  expect(await report()).toEqual([]);
});
