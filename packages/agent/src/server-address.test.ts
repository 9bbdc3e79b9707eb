import { describe, expect, test } from "vitest";
import { parseServerAddresses } from "./server-address.ts";

describe("parseServerAddresses", () => {
  test("reads names, both kinds of IP addresses, and the default port", () => {
    const text = "wss://mesh.example:7000, https://10.0.0.1, wss://[::1]:443";
    expect(parseServerAddresses(text)).toEqual([
      { host: "mesh.example", port: 7000, url: "wss://mesh.example:7000" },
      { host: "10.0.0.1", port: 7117, url: "https://10.0.0.1" },
      { host: "::1", port: 443, url: "wss://[::1]:443" },
    ]);
  });

  test.each([
    ["", "it is empty"],
    ["mesh.example:7117", "it is no URL"],
    ["ws://mesh.example", "only TLS is spoken"],
    ["wss://", "it is no URL"],
    ["wss://token@mesh.example", "a join token goes into its own option"],
  ])("refuses %j: %s", (text, why) => {
    expect(() => parseServerAddresses(text)).toThrow(why);
  });
});
