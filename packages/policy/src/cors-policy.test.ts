import { expect, test } from "vitest";
import { type Cors, compileCors } from "./cors-policy.ts";

const engine = (pattern: string) => (text: string) => new RegExp(`^(?:${pattern})$`).test(text);

const cors: Cors = {
  allowOrigins: [{ exact: "https://shop.example" }, { prefix: "http://dev." }, { regex: "https://.+\\.example" }],
  allowMethods: ["POST", "GET"],
  allowHeaders: ["X-Foo-Bar", "X-Foo-Baz"],
  maxAge: "24h",
};

const decide = (policy: Cors, method: string, headers: Readonly<Record<string, string>>) =>
  compileCors(policy, engine)({ method, header: (name) => headers[name] });

const preflight = (origin: string) => ({ origin, "access-control-request-method": "DELETE" });

test("a preflight is answered with all that is allowed, whatever it asks for", () => {
  expect(decide(cors, "OPTIONS", preflight("https://shop.example"))).toEqual({
    kind: "answer",
    headers: [
      ...["access-control-allow-origin", "https://shop.example"],
      ...["access-control-allow-methods", "POST,GET"],
      ...["access-control-allow-headers", "X-Foo-Bar,X-Foo-Baz"],
      ...["access-control-max-age", "86400"],
      ...["vary", "Origin"],
    ],
  });
});

test("of what the policy does not say, nothing is told", () => {
  expect(decide({ allowOrigins: [{ exact: "*" }], allowCredentials: true }, "OPTIONS", preflight("null"))).toEqual({
    kind: "answer",
    headers: [
      ...["access-control-allow-origin", "null"],
      ...["access-control-allow-credentials", "true"],
      ...["vary", "Origin"],
    ],
  });
});

test.each([
  ["https://shop.example", true],
  ["https://shop.example:8443", false],
  ["http://dev.local", true],
  ["https://a.example", true],
  ["https://a.example.org", false],
])("origin %s is allowed: %s", (origin, allowed) => {
  expect(decide(cors, "OPTIONS", preflight(origin)).kind).toBe(allowed ? "answer" : "send");
});

test("preflights of other origins are sent on, or answered with nothing", () => {
  expect(decide(cors, "OPTIONS", preflight("https://evil.test")).kind).toBe("send");
  expect(decide({ ...cors, unmatchedPreflights: "ignore" }, "OPTIONS", preflight("https://evil.test"))).toEqual({
    kind: "answer",
    headers: ["vary", "Origin"],
  });
});

test("OPTIONS without a method asked for is no preflight", () => {
  expect(decide(cors, "OPTIONS", { origin: "https://shop.example" }).kind).toBe("send");
});

const reply = ["Content-Type", "text/plain", "Access-Control-Allow-Origin", "*", "Vary", "Accept"];
const changed = (policy: Cors, origin: string | undefined): readonly string[] => {
  const decision = decide(policy, "GET", origin === undefined ? {} : { origin });
  return decision.kind === "send" ? decision.change(reply) : [];
};

test("a reply is marked for its origin, in the place of what the service said", () => {
  expect(changed({ ...cors, exposeHeaders: ["X-Total"], allowCredentials: true }, "https://shop.example")).toEqual([
    ...["Content-Type", "text/plain", "Vary", "Accept"],
    ...["access-control-allow-origin", "https://shop.example"],
    ...["access-control-allow-credentials", "true"],
    ...["access-control-expose-headers", "X-Total"],
    ...["vary", "Origin"],
  ]);
});

test.each([["https://evil.test"], [undefined]])(
  "a reply to origin %s is not marked, but caches learn that it could have been",
  (origin) => {
    expect(changed(cors, origin)).toEqual([...reply, "vary", "Origin"]);
  },
);

test.each([["Origin, Accept"], ["*"]])("vary: %s says enough already", (vary) => {
  const decision = decide(cors, "GET", {});
  expect(decision.kind === "send" && decision.change(["Vary", vary])).toEqual(["Vary", vary]);
});
