import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import { advertisedAddress } from "./advertised-address.ts";

const address = (text: string, family: "IPv4" | "IPv6", internal = false): NetworkInterfaceInfo =>
  ({ address: text, family, internal, netmask: "", mac: "", cidr: null, scopeid: 0 }) as NetworkInterfaceInfo;

const machine = () => ({
  lo: [address("127.0.0.1", "IPv4", true)],
  eth0: [address("fe80::1", "IPv6"), address("fd00::7", "IPv6"), address("10.0.0.7", "IPv4")],
});

test.each([
  ["what the user says", { advertise: "pod.example", host: "0.0.0.0" }, "pod.example"],
  ["the bound address", { advertise: undefined, host: "127.0.0.1" }, "127.0.0.1"],
  ["the first external IPv4 address when bound to all", { advertise: undefined, host: "::" }, "10.0.0.7"],
])("a listener is advertised by %s", (_what, choice, expected) => {
  expect(advertisedAddress({ ...choice, interfaces: machine })).toBe(expected);
});

test("without external IPv4 an external IPv6 address is taken, never a link-local one", () => {
  const interfaces = () => ({ eth0: [address("fe80::1", "IPv6"), address("fd00::7", "IPv6")] });
  expect(advertisedAddress({ advertise: undefined, host: "::", interfaces })).toBe("fd00::7");
});

test("a machine without a network is reached by loopback", () => {
  expect(advertisedAddress({ advertise: undefined, host: "0.0.0.0", interfaces: () => ({}) })).toBe("127.0.0.1");
});
