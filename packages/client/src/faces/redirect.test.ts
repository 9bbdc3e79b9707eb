import { describe, expect, test } from "vitest";
import { headersAfter, redirectTo } from "./redirect.ts";

const from = new URL("http://reviews/a/b#part");

describe("redirectTo", () => {
  test.each([
    ["GET", 301, "GET", false],
    ["POST", 301, "GET", true],
    ["POST", 302, "GET", true],
    ["PUT", 302, "PUT", false],
    ["PUT", 303, "GET", true],
    ["HEAD", 303, "HEAD", false],
    ["POST", 307, "POST", false],
    ["POST", 308, "POST", false],
  ])("%s and %i: %s", (method, status, next, dropsBody) => {
    expect(redirectTo(from, method, status, "/c")).toMatchObject({ method: next, dropsBody, dropsCredentials: false });
  });

  test("locations are relative to the call, and keep its fragment", () => {
    expect(redirectTo(from, "GET", 302, "c").url.href).toBe("http://reviews/a/c#part");
    expect(redirectTo(from, "GET", 302, "http://ratings/").dropsCredentials).toBe(true);
    expect(() => redirectTo(from, "GET", 302, "file:///etc/passwd")).toThrow(TypeError);
  });
});

test("credentials stay with their origin, and headers of a body go with it", () => {
  const headers = ["Authorization", "secret", "Content-Type", "text/plain", "x-a", "1"];
  const kept = { url: from, method: "GET", dropsBody: false, dropsCredentials: false };
  expect(headersAfter(kept, headers)).toEqual(headers);
  expect(headersAfter({ ...kept, dropsCredentials: true }, headers)).toEqual([
    "Content-Type",
    "text/plain",
    "x-a",
    "1",
  ]);
  expect(headersAfter({ ...kept, dropsBody: true }, headers)).toEqual(["Authorization", "secret", "x-a", "1"]);
});
