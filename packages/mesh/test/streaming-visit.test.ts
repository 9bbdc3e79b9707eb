import { createServer } from "node:http";
import type { Policy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { createMesh, type FixedMesh } from "../src/create-mesh.ts";

test("a visit that streams makes calls after its caller's deadline, for its headers came in time", async () => {
  const authority = await createTestAuthority();
  const policies: Policy[] = [
    { kind: "Mesh", name: "mesh", defaults: { timeout: "300ms" } },
    { kind: "Service", name: "events" },
    { kind: "Service", name: "ratings" },
  ];
  const join = async (service: string): Promise<FixedMesh> =>
    createMesh({ service, policies, endpoints: {}, credentials: await authority.issue({ serviceAccount: service }) });
  await using caller = await join("caller");
  await using events = await join("events");
  await using ratings = await join("ratings");
  const listen = { port: 0, host: "127.0.0.1", signals: false } as const;
  const rated = await ratings.listen(
    createServer((_request, response) => void response.end("five stars")),
    listen,
  );
  const streamed = await events.listen(
    createServer((_request, response) => {
      response.write("begin,");
      setTimeout(() => {
        events.fetch("http://ratings/").then(
          async (answer) => response.end(await answer.text()),
          (error: unknown) => response.end(String(error)),
        );
      }, 500);
    }),
    listen,
  );
  const endpoints = { ratings: [`127.0.0.1:${rated.port}`], events: [`127.0.0.1:${streamed.port}`] };
  for (const mesh of [caller, events, ratings]) mesh.update({ policies, endpoints });
  const response = await caller.fetch("http://events/");
  expect(await response.text()).toBe("begin,five stars");
});
