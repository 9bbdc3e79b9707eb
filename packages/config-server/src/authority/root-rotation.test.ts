import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import type { Authority } from "./authority.ts";
import { type KeyStore, memoryKeyStore } from "./key-store.ts";
import { openAuthority } from "./open-authority.ts";

const HOUR_MS = 3_600_000;
const trustDomain = "cluster.local";
const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";

const setUp = async () => {
  const clock = new FakeClock();
  const keyStore = memoryKeyStore();
  const open = (store: KeyStore = keyStore) =>
    openAuthority({ keyStore: store, trustDomain, clock, certificateTtlMs: HOUR_MS });
  return { clock, keyStore, open, authority: await open() };
};

const leafOf = async (authority: Authority): Promise<X509Certificate> => {
  const publicKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
    type: "spki",
    format: "der",
  });
  return new X509Certificate((await authority.issueSvid({ publicKey, spiffeId })).chain);
};

const issuedBy = async (authority: Authority, root: string | undefined): Promise<boolean> =>
  (await leafOf(authority)).verify(new X509Certificate(root ?? "").publicKey);

const serverRoot = async (authority: Authority): Promise<string> => {
  const { chain } = await authority.issueServerCertificate(["localhost"]);
  return chain.split(/(?<=-----END CERTIFICATE-----\n)/).at(-1) ?? "";
};

describe("the rotation of a root", () => {
  test("prepares in secret, distributes, activates, retires; leaves of both roots count in between", async () => {
    const { authority, clock } = await setUp();
    const { rotation } = authority;
    const [old] = authority.bundle.roots;
    const before = await leafOf(authority);

    const { certificate: next } = await rotation.prepare();
    expect(rotation.phase).toBe("prepared");
    expect(authority.bundle.roots).toEqual([old]);
    expect(authority.pins).toHaveLength(1);

    await rotation.distribute();
    expect(authority.bundle.roots).toEqual([old, next]);
    expect(await issuedBy(authority, old)).toBe(true);

    await rotation.activate();
    expect(authority.bundle.roots).toEqual([next, old]);
    expect(await issuedBy(authority, next)).toBe(true);
    expect(authority.verifySvid(before)).toMatchObject({ valid: true, spiffeId });

    await expect(rotation.retire(false)).rejects.toThrow("may live until");
    clock.advance(HOUR_MS);
    await rotation.retire(false);
    expect(rotation.phase).toBe("none");
    expect(authority.bundle.roots).toEqual([next]);
    expect(authority.verifySvid(before)).toMatchObject({ reason: "it was not issued by this mesh's CA" });
  });

  test("leaves the config-server under the old root until it retires, and lets tokens pin both", async () => {
    const { authority } = await setUp();
    const [old] = authority.bundle.roots;
    const [oldPin] = authority.pins;
    const { certificate: next } = await authority.rotation.prepare();
    await authority.rotation.distribute();
    const pins = authority.pins;
    expect(pins[0]).toBe(oldPin);
    expect(pins).toHaveLength(2);
    await authority.rotation.activate();
    expect(await serverRoot(authority)).toBe(old);
    expect(authority.pins).toEqual(pins);
    await authority.rotation.retire(true);
    expect(await serverRoot(authority)).toBe(next);
    expect(authority.pins).toEqual([pins[1]]);
  });

  test("takes its steps in order and says which one comes next", async () => {
    const { rotation } = (await setUp()).authority;
    await expect(rotation.distribute()).rejects.toThrow(
      "distribute needs a rotation that is prepared; it is not begun, so prepare comes next",
    );
    await rotation.prepare();
    await expect(rotation.prepare()).rejects.toThrow("so distribute comes next");
    await expect(rotation.activate()).rejects.toThrow("so distribute comes next");
    await rotation.distribute();
    await expect(rotation.retire(true)).rejects.toThrow("so activate comes next");
    await rotation.activate();
    await expect(rotation.abort()).rejects.toThrow("so retire comes next");
  });

  test("can be given up until the new root signs, and its key is gone then", async () => {
    const { authority, keyStore } = await setUp();
    const bundle = authority.bundle.roots;
    for (const far of [false, true]) {
      const { keyFile = "" } = await authority.rotation.prepare();
      if (far) await authority.rotation.distribute();
      expect(await keyStore.read(keyFile)).toContain("PRIVATE KEY");
      await authority.rotation.abort();
      expect(authority.bundle.roots).toEqual(bundle);
      expect(await keyStore.read(keyFile)).toBeUndefined();
    }
  });

  test("goes on after a restart in every phase, and forgets the old key in the end", async () => {
    const { authority, keyStore, clock, open } = await setUp();
    let last = authority;
    for (const step of ["prepare", "distribute", "activate", "retire"] as const) {
      clock.advance(HOUR_MS);
      await last.rotation[step](false);
      const again = await open();
      expect(again.rotation.roots).toEqual(last.rotation.roots);
      expect([again.bundle, again.pins, again.rotation.phase]).toEqual([last.bundle, last.pins, last.rotation.phase]);
      last = again;
    }
    expect(await keyStore.read("ca-key.pem")).toBeUndefined();
    expect(await issuedBy(last, last.bundle.roots[0])).toBe(true);
  });

  test("a crash between two files leaves the step either undone or done", async () => {
    for (const step of ["prepare", "distribute", "activate", "retire"] as const) {
      for (const writes of [0, 1, 2]) {
        const { authority, keyStore, clock, open } = await setUp();
        for (const before of ["prepare", "distribute", "activate", "retire"] as const) {
          if (before === step) break;
          await authority.rotation[before](false);
        }
        clock.advance(HOUR_MS);
        // The state folder as the crash leaves it: so many files written or removed, nothing after them.
        let left = Number.POSITIVE_INFINITY;
        const alive = (): void => {
          left -= 1;
          if (left < 0) throw new Error("the process died");
        };
        const victim = await open({
          read: keyStore.read,
          write: async (name, content) => {
            alive();
            await keyStore.write(name, content);
          },
          remove: async (name) => {
            alive();
            await keyStore.remove(name);
          },
        });
        const { phase } = victim.rotation;
        left = writes;
        await victim.rotation[step](false).catch(() => undefined);
        const after = await open();
        const next = { prepare: "prepared", distribute: "distributing", activate: "activated", retire: "none" }[step];
        expect([phase, next]).toContain(after.rotation.phase);
        await expect(leafOf(after)).resolves.toBeInstanceOf(X509Certificate);
      }
    }
  });
});
