import { expect, test } from "vitest";
import { gatewayDocument, refusalsOf } from "../../test/gateway-documents.ts";

const refusedFor = (...parents: readonly string[]): readonly string[] =>
  refusalsOf(gatewayDocument("HTTPRoute", "route", `{ parentRefs: [${parents.join(", ")}] }`));
const service = (fields: string): string => `{ group: "", kind: Service, ${fields} }`;

test.each([
  ["one service", [service("name: a")]],
  ["one service on two ports", [service("name: a, port: 80"), service("name: a, port: 81")]],
  ["two services", [service("name: a"), service("name: b")]],
  ["services of one name in two namespaces", [service("name: a"), service("name: a, namespace: b")]],
])("a route may be bound to %s", (_, parents) => expect(refusedFor(...parents)).toEqual([]));

test.each([
  ["a service twice", [service("name: a"), service("name: a")], "with the same port and section"],
  ["a port twice", [service("name: a, port: 80"), service("name: a, port: 80")], "with the same port and section"],
  ["a service, and a port of it", [service("name: a"), service("name: a, port: 80")], "needs a port or a section"],
  ["a Gateway twice", ["{ name: a }", "{ kind: Gateway, name: a }"], "with the same port and section"],
  ["nothing by name", [service("port: 80")], "a parent needs a name"],
  ["no port", [service("name: a, port: 70000")], "is no port"],
  ["no namespace", [service("name: a, namespace: A_B")], "is no namespace"],
  ["too many", Array.from({ length: 33 }, (_, at) => service(`name: a${at}`)), "33 are more than 32"],
])("a route may not be bound to %s", (_, parents, reason) => {
  expect(refusedFor(...parents)).toEqual([expect.stringContaining(reason)]);
});
