import { systemClock } from "@tulle/time";
import { expect, test } from "vitest";
import { askDns } from "../src/dns/ask-dns.ts";
import { systemDnsResolver } from "../src/dns/dns-resolver.ts";

test("the system's resolver knows this machine by name, whatever name servers there are", async () => {
  const resolver = systemDnsResolver();
  const { addresses, ttlMs } = await askDns(["localhost"], resolver, systemClock);
  expect(addresses).toContain("127.0.0.1");
  expect(ttlMs).toBeGreaterThan(0);
  resolver.close();
});

test("a name that is none fails with the resolver's own code", async () => {
  const resolver = systemDnsResolver();
  await expect(askDns(["no-such-host.invalid"], resolver, systemClock)).rejects.toMatchObject({
    code: expect.stringMatching(/^E[A-Z_]+$/),
  });
  resolver.close();
});

test("IPv4 is always asked for, IPv6 only on a machine that has an address of it", () => {
  expect(systemDnsResolver().families()).toContain(4);
});
