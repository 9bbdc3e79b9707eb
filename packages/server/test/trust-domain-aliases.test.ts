import type { AccessPolicy, InboundSnapshot } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

const onlyProductpage: AccessPolicy = {
  kind: "Access",
  name: "productpage",
  rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
};

const withAliases = (...trustDomainAliases: string[]): InboundSnapshot => {
  const snapshot = inbound("strict", [onlyProductpage]);
  return { ...snapshot, mesh: { ...snapshot.mesh, trustDomainAliases } };
};

test("a peer under an alias is one of ours, a partner that signs the alias is nobody, and a dropped alias ends its connections", async () => {
  const authority = await createTestAuthority();
  const partner = await createTestAuthority("old.example");
  const policy = new Watchable<InboundSnapshot | undefined>(withAliases("old.example"));
  const server = testServer({
    inbound: policy,
    credentials: constant(
      await authority.issue({ serviceAccount: "reviews", bundles: [authority.bundle, partner.bundle] }),
    ),
  });
  const listener = await server.listen(
    (request, response) => response.end(String(request.headers["x-envoy-attempt-count"])),
    { port: 0, host: "127.0.0.1" },
  );
  const spiffeId = "spiffe://old.example/ns/default/sa/productpage";
  const ours = await authority.issue({ spiffeId });
  const headers = { "x-envoy-attempt-count": "2" };
  // Control headers count, for it is ours; of a stranger they would be gone.
  expect(await call(listener.port, { as: ours, headers })).toMatchObject({ status: 200, body: "2" });
  await expect(call(listener.port, { as: await partner.issue({ spiffeId }) })).rejects.toThrow();
  expect(server.counters()).toMatchObject({ "refused.PEER_UNTRUSTED": 1 });

  policy.set(withAliases());
  await expect(call(listener.port, { as: ours })).rejects.toThrow();
});

test("a member whose own certificate still bears the alias and its peers under the new name know one another", async () => {
  const authority = await createTestAuthority("new.example");
  const snapshot = withAliases("old.example");
  const server = testServer({
    inbound: constant({ ...snapshot, mesh: { ...snapshot.mesh, trustDomain: "new.example" } }),
    credentials: constant(await authority.issue({ spiffeId: "spiffe://old.example/ns/default/sa/reviews" })),
  });
  const listener = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
  const as = await authority.issue({ spiffeId: "spiffe://new.example/ns/default/sa/productpage" });
  expect(await call(listener.port, { as })).toMatchObject({ status: 200 });
});
