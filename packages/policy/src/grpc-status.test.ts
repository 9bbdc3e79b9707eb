import { expect, test } from "vitest";
import { grpcStatuses, grpcStatusNames, grpcStatusOfHttp, isGrpc } from "./grpc-status.ts";

test("the codes are 1 to 16, in the order of the names", () => {
  expect(grpcStatusNames.map((name) => grpcStatuses[name].code)).toEqual(Array.from({ length: 16 }, (_, n) => n + 1));
});

test.each([
  [400, "INTERNAL"],
  [401, "UNAUTHENTICATED"],
  [403, "PERMISSION_DENIED"],
  [404, "UNIMPLEMENTED"],
  [429, "UNAVAILABLE"],
  [500, "UNKNOWN"],
  [503, "UNAVAILABLE"],
])("HTTP %i is %s to a caller who speaks gRPC", (status, name) => expect(grpcStatusOfHttp(status)).toBe(name));

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["Application/gRPC; charset=x", true],
  ["application/grpc-web", false],
  ["application/json", false],
  [undefined, false],
])("content type %s speaks gRPC: %s", (contentType, speaks) => expect(isGrpc(contentType)).toBe(speaks));
