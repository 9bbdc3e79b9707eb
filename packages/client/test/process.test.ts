import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TestServer } from "./transport-kit.ts";

/** Runs a module of its own process. @returns what it printed, when it has exited by itself. */
const run = async (source: string, ...args: string[]): Promise<{ code: number | null; output: string }> => {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", source, ...args], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const [code] = await once(child, "close");
  return { code, output: output.trim() };
};

const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

describe("loading undici", () => {
  const guard = url("../src/transport/undici.ts");

  test("leaves the global dispatcher of the built-in fetch alone, before and after its first use", async () => {
    const { output } = await run(`
      const legacy = Symbol.for("undici.globalDispatcher.1");
      const before = globalThis[legacy];
      await import(${guard});
      const same = globalThis[legacy] === before;
      await fetch("data:,x");
      await import(${guard});
      console.log(JSON.stringify({ same, ownClass: globalThis[legacy]?.constructor?.name }));
    `);
    const { same, ownClass } = JSON.parse(output);
    expect(same).toBe(true);
    expect(ownClass ?? "none").not.toContain("Dispatcher1Wrapper");
  });

  test("gives back a dispatcher that the application had set", async () => {
    const { output } = await run(`
      const legacy = Symbol.for("undici.globalDispatcher.1");
      const own = { dispatch() {} };
      globalThis[legacy] = own;
      const { undici } = await import(${guard});
      console.log(globalThis[legacy] === own, typeof undici.Pool);
    `);
    expect(output).toBe("true function");
  });

  test("leaves a built-in fetch working as before", async () => {
    await using server = await TestServer.http((request, response) => response.end(request.headers["content-length"]));
    const { output } = await run(
      `
      await import(${guard});
      const headers = { "content-length": "5" };
      console.log(await (await fetch(process.argv[1], { method: "POST", body: "hello", headers })).text());
    `,
      `http://127.0.0.1:${server.port}`,
    );
    expect(output).toBe("5");
  });
});

test("a process whose calls are done exits, with idle connections, circuits and drain hints left open", async () => {
  await using server = await TestServer.http((_request, response) => response.end("done"));
  const { code, output } = await run(
    `
    const { TestCaller, TestServer } = await import(${url("./transport-kit.ts")});
    const { createCircuit } = await import(${url("../src/breaker/circuit.ts")});
    const { effectiveCircuitBreaker } = await import("@tulle/policy");
    const { systemClock } = await import("@tulle/time");
    const endpoint = { id: "a", address: "127.0.0.1", port: Number(process.argv[1]), transport: "plaintext",
      labels: {}, health: "healthy", serviceAccount: "reviews" };
    const caller = new TestCaller([endpoint], { policy: { keepAliveMs: 600_000 } });
    caller.idleTimeoutMs = 600_000;
    const circuitBreaker = { errorPercent: 1, minimumVolume: 1, window: "10m", openFor: "10m" };
    const policy = effectiveCircuitBreaker({ kind: "Service", name: "a", circuitBreaker });
    const circuit = createCircuit({ name: "a", policy, clock: systemClock });
    await circuit.run({ deadlineMs: Infinity }, { progress: "answered" }, async () => ({ status: 503 }));
    const text = await caller.text();
    caller.endpoints.markDraining("a");
    console.log(text, circuit.state);
  `,
    String(server.port),
  );
  expect(output).toBe("done open");
  expect(code).toBe(0);
});

test("a process does not end while its calls wait for nothing but their turn to connect", async () => {
  await using server = await TestServer.http(() => undefined);
  const { code, output } = await run(
    `
    const { clientOf, endpointAt, snapshotOf } = await import(${url("./mesh-of-servers.ts")});
    const endpoint = endpointAt(Number(process.argv[1]));
    const client = clientOf(snapshotOf({ reviews: { endpoints: [endpoint], policy: { circuitBreaker: false } } }));
    // Each abort costs its connection; the next call needs another one.
    const giveUp = async () => {
      const controller = new AbortController();
      const signal = controller.signal;
      setTimeout(() => controller.abort(new Error("given up")), 1).unref();
      await client.request("http://reviews/", { signal, mesh: { retry: false } }).catch(() => undefined);
    };
    const worker = async () => {
      for (let call = 0; call < 20; call++) await giveUp();
    };
    await Promise.all(Array.from({ length: 64 }, worker));
    console.log(client.counters().calls, client.counters().connectsDeferred > 0);
  `,
    String(server.port),
  );
  expect(output).toBe("1280 true");
  expect(code).toBe(0);
});

test("a process whose calls to the outside are done exits, with its names still in use", async () => {
  await using server = await TestServer.http((_, response) => response.end("outside"));
  const { code, output } = await run(
    `
    const { createClient } = await import(${url("../src/create-client.ts")});
    const { snapshotOfPolicies } = await import(${url("./outside-kit.ts")});
    const { constant, systemClock } = await import("@tulle/time");
    const { externalService } = await import("@tulle/policy");
    const policy = externalService("here", "here.example", {
      port: Number(process.argv[1]), addresses: ["localhost"], tls: { mode: "disable" },
    });
    const client = createClient({
      outbound: constant(snapshotOfPolicies([policy])), credentials: constant(undefined), clock: systemClock,
      random: Math.random, namespace: "default", service: "a", labels: {}, inherit: () => undefined,
      discover: () => Promise.reject(new Error("no")),
    });
    for (let n = 0; n < 3; n++) {
      const response = await client.fetch("http://here.example:" + process.argv[1] + "/");
      if (n === 2) console.log(await response.text(), client.counters().dnsQueries);
      else await response.text();
    }
  `,
    String(server.port),
  );
  expect({ code, output }).toEqual({ code: 0, output: "outside 1" });
});
