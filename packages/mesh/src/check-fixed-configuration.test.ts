import { expect, test } from "vitest";
import { createMesh } from "./create-mesh.ts";

/** Values as JavaScript hands them in. */
const create = (options: unknown) => () => createMesh(options as Parameters<typeof createMesh>[0]);
const withEndpoint = (endpoint: unknown) => ({ policies: [], endpoints: { reviews: [endpoint] } });

test.each([
  [{}, "policies is missing; write an array, which may be empty"],
  [{ policies: [] }, "endpoints is missing; write an object"],
  [{ policies: {}, endpoints: {} }, "policies is {}; write an array, which may be empty"],
  [{ policies: [{}], endpoints: {} }, "policies[0].kind is missing; name the kind of policy, such as Route"],
  [{ policies: [{ kind: "Route" }], endpoints: {} }, "policies[0].name is missing; give the policy a name"],
  [{ policies: [], endpoints: { a: "b:1" } }, 'endpoints.a is "b:1"; write an array, which may be empty'],
  [withEndpoint(null), "endpoints.reviews[0] is null; write an object"],
  [withEndpoint({ port: 1 }), "endpoints.reviews[0].address is missing; write a host or an IP"],
  [
    withEndpoint({ address: "a", port: "80" }),
    'endpoints.reviews[0].port is "80"; write a whole number from 1 to 65535',
  ],
  [
    withEndpoint({ address: "a", port: 80, weight: 0 }),
    "endpoints.reviews[0].weight is 0; write a whole number from 1 to 1000",
  ],
  [
    withEndpoint({ address: "a", port: 80, transport: "http" }),
    'endpoints.reviews[0].transport is "http"; write mtls, plaintext or tls',
  ],
  [
    withEndpoint({ address: "a", port: 80, locality: { rack: "1" } }),
    'endpoints.reviews[0].locality.rack is "1"; write { region, zone, subzone }, each a text of at most 253 characters, as far as they are known',
  ],
  [
    { policies: [], endpoints: {}, locality: { zone: 1 } },
    "locality.zone is 1; write { region, zone, subzone }, each a text of at most 253 characters, as far as they are known",
  ],
  [{ policies: [], endpoints: {}, mode: "half" }, 'mode is "half"; write one of off, observe, client, full'],
])("%j is refused: %s", (options, message) => {
  expect(create(options)).toThrow(
    expect.objectContaining({ code: "INVALID_CALL", message: `INVALID_CALL: ${message}` }),
  );
});
