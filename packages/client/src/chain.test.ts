import { FakeClock, seededRandom } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, test } from "vitest";
import { endpointAt, snapshotOf } from "../test/mesh-of-servers.ts";
import { createClient } from "./create-client.ts";

const clientOf = (circuitBreaker?: false) =>
  createClient({
    outbound: constant(
      snapshotOf({
        reviews: { endpoints: [endpointAt(1)], policy: circuitBreaker === undefined ? {} : { circuitBreaker } },
      }),
    ),
    credentials: constant(undefined),
    clock: new FakeClock(),
    random: seededRandom(1),
    namespace: "default",
    service: "productpage",
    labels: {},
    discover: () => Promise.reject(new Error("nothing is discovered here")),
    inherit: () => undefined,
  });

test("the chain reads in the order in which a call meets its steps", async () => {
  const client = clientOf();
  expect(client.describeChain("default/reviews")?.split("\n")).toEqual([
    "observe call: outermost: sees the final outcome and the whole duration",
    "route: the first rule that fits picks a ready chain",
    "split: draws the destination once per call, above the retry: a canary's failures stay its own",
    "deadline: above the retry: all attempts share one deadline",
    "retry: above the pick: each attempt goes elsewhere; all below happens once per attempt",
    "observe attempt: above the circuit: sees its refusals too",
    "circuit: below the retry: each attempt asks it and teaches it",
    "attempt limit: below the circuit: a timeout is a failure to it",
    "pick and dispatch: innermost: picks from the figures of this moment",
  ]);
  expect(client.describeChain("default/ratings")).toBeUndefined();
  await client.close();
});

test("a circuit that the policy turns off is no step", async () => {
  const client = clientOf(false);
  expect(client.describeChain("default/reviews")).not.toMatch(/^circuit:/m);
  await client.close();
});
