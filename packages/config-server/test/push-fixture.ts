import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Policy, PolicyKey, TrustBundle } from "@tulle/policy";
import type { ApplyResult, Done } from "@tulle/protocol";
import { FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { type Enrollment, EnrollmentRefused, type MemberIdentity } from "../src/enrollment/enrollment.ts";
import { createPushServer, type PushOptions, type PushServer } from "../src/push/push-server.ts";
import { openRegistry, type Registry } from "../src/registry/registry.ts";
import { MemoryStore } from "../src/store/memory-store.ts";
import type { PolicyStore } from "../src/store/policy-store.ts";
import { openPolicyStore } from "../src/store/revisioned-policy-store.ts";
import type { StateStore } from "../src/store/state-store.ts";
import { ScriptedMember } from "./scripted-member.ts";

/**
 * `ns/sa` stands for a certificate of that identity, `join:ns/sa` for a join token for it; others are
 * refused by their word.
 */
export const scriptedEnrollment: Enrollment = {
  authenticate: async ({ authorization = "" }): Promise<MemberIdentity> => {
    const token = authorization.replace("Bearer ", "");
    const [namespace, serviceAccount] = token.replace("join:", "").split("/");
    if (token === "expired") throw new EnrollmentRefused("token-expired", "the join token expired an hour ago");
    if (token === "broken") throw new Error("the disk is full");
    if (token === "forbidden") throw new EnrollmentRefused("identity-mismatch", "of another mesh");
    if (namespace === undefined || serviceAccount === undefined) {
      throw new EnrollmentRefused("unauthenticated", "show a certificate or a join token");
    }
    return {
      spiffeId: `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
      trustDomain: "cluster.local",
      namespace,
      serviceAccount,
      by: token.startsWith("join:") ? "token" : "certificate",
    };
  },
  issue: async ({ spiffeId }, csr) => {
    if (csr === "weak") throw new EnrollmentRefused("csr-key", "a P-256 key is needed");
    if (csr === "used") throw new EnrollmentRefused("token-used", "the join token was used with another key");
    if (csr === "broken") throw new Error("the disk is full");
    return { chain: `chain for ${spiffeId}`, notAfterMs: 1_700_086_400_000, serial: "01", root: "r" };
  },
  counters: () => ({}),
};

/** A push server on a loopback port, on a clock that the test moves. */
export class PushFixture {
  readonly clock: FakeClock;
  readonly state: StateStore;
  readonly bundles: Watchable<readonly TrustBundle[]> = new Watchable([
    { trustDomain: "cluster.local", roots: ["root"] },
  ]);
  readonly failures: unknown[] = [];
  policyStore!: PolicyStore;
  registry!: Registry;
  push!: PushServer;
  #server!: Server;
  readonly #options: PushOptions;

  constructor(options: PushOptions = {}, state?: StateStore, clock: FakeClock = new FakeClock()) {
    this.clock = clock;
    this.state = state ?? new MemoryStore(this.clock);
    this.#options = { onError: (error) => this.failures.push(error), ...options };
  }

  async open(): Promise<this> {
    const { clock, state, bundles } = this;
    this.policyStore = await openPolicyStore(state, clock);
    this.registry = await openRegistry({ store: state, clock, policies: this.policyStore.head });
    this.push = createPushServer({
      enrollment: scriptedEnrollment,
      policyStore: this.policyStore,
      registry: this.registry,
      bundles,
      clock,
      random: () => 0.5,
      options: this.#options,
    });
    this.#server = createServer();
    this.#server.on("upgrade", (request, socket, head) =>
      this.push.handleUpgrade(request, socket, head, {
        authorization: request.headers.authorization,
        certificate: undefined,
      }),
    );
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  connect(token: string = "default/reviews"): Promise<ScriptedMember> {
    return ScriptedMember.connect(this.port, token);
  }

  /** Applies policies and lets the publisher's quiet time pass. */
  async apply(puts: readonly Policy[], deletes: readonly PolicyKey[] = []): Promise<ApplyResult> {
    const result = await this.policyStore.apply({ puts, deletes, author: "test", message: "" }, () => undefined);
    await this.publish();
    return result;
  }

  /** The answer to a registration, which comes once the publisher's quiet time is over. */
  async registered(member: ScriptedMember): Promise<Done> {
    let answered = false;
    const answer = member.next("done").finally(() => {
      answered = true;
    });
    while (!answered) {
      await this.publish();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return answer;
  }

  async publish(): Promise<void> {
    await this.clock.advanceAsync(20);
  }

  async close(): Promise<void> {
    await this.push.close();
    await this.registry.close();
    await this.policyStore.close();
    this.#server.close();
  }
}
