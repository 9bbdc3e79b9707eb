import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCsr, verifyCsr } from "./csr.ts";
import { EnrollmentRefused } from "./enrollment.ts";

const own = "spiffe://cluster.local/ns/default/sa/reviews";
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = publicKey.export({ type: "spki", format: "der" });

const tagged = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
};
const SAN = Buffer.from("0603551d11", "hex");
const EXTENSION_REQUEST = Buffer.from("06092a864886f70d01090e", "hex");
const MICROSOFT_EXTENSIONS = Buffer.from("060a2b0601040182370201 0e".replace(" ", ""), "hex");
const ECDSA_WITH_SHA256 = Buffer.from("300a06082a8648ce3d040302", "hex");

/** A general name as it stands in a request: the tag's number and its bytes. */
interface Name {
  readonly tag: number;
  readonly bytes: Uint8Array;
}

const san = (names: readonly Name[]): Buffer =>
  tagged(0x30, SAN, tagged(0x04, tagged(0x30, ...names.map(({ tag, bytes }) => tagged(0x80 | tag, bytes)))));

/** One attribute with one extension for each list of names. */
const requestOf = (lists: readonly (readonly Name[])[], attribute: Buffer = EXTENSION_REQUEST, key = spki): Buffer => {
  const attributes = lists.map((names) => tagged(0x30, attribute, tagged(0x31, tagged(0x30, san(names)))));
  const information = tagged(0x30, Buffer.from([2, 1, 0]), tagged(0x30), key, tagged(0xa0, ...attributes));
  const signature = sign("sha256", information, { key: privateKey, dsaEncoding: "der" });
  return tagged(0x30, information, ECDSA_WITH_SHA256, tagged(0x03, Buffer.from([0]), signature));
};

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
const uri = (text: string): Name => ({ tag: 6, bytes: Buffer.from(text) });
const good = requestOf([[uri(own)]]);

/** What is wrong with bytes on their way: some changed, some gone, some more, a piece from elsewhere. */
const mutated = fc
  .array(
    fc.tuple(
      fc.constantFrom("set", "cut", "add", "end", "copy"),
      fc.nat(good.length),
      fc.nat(255),
      fc.nat(good.length),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((changes) =>
    changes.reduce<Buffer>((bytes, [how, at, value, from]) => {
      const before = bytes.subarray(0, at);
      if (how === "set") return Buffer.concat([before, Buffer.from([value]), bytes.subarray(at + 1)]);
      if (how === "cut") return Buffer.concat([before, bytes.subarray(at + 1 + (value % 8))]);
      if (how === "add") return Buffer.concat([before, Buffer.from([value]), bytes.subarray(at)]);
      if (how === "end") return before;
      return Buffer.concat([before, bytes.subarray(from, from + value), bytes.subarray(at + value)]);
    }, good),
  );

const outcomeOf = <T>(work: () => T): T | EnrollmentRefused => {
  try {
    return work();
  } catch (error) {
    // Anything else ends the test: a refusal is the one thing that may be thrown.
    if (error instanceof EnrollmentRefused) return error;
    throw error;
  }
};

describe("a certificate request from the network", () => {
  test("is taken when it is good", async () => {
    expect((await verifyCsr(pemOf(good), own)).publicKey).toEqual(new Uint8Array(spki));
    await expect(verifyCsr(pemOf(requestOf([])), own)).resolves.toBeDefined();
  });

  // Whatever is read as PKCS#10 costs about a millisecond, so twenty thousand.
  test("with mutated bytes is read or refused, and nothing else is thrown", () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(mutated, (bytes) => {
        const outcome = outcomeOf(() => readCsr(pemOf(bytes)));
        const what = outcome instanceof EnrollmentRefused ? outcome.code : "read";
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      }),
      { numRuns: 20_000 },
    );
    expect([...outcomes.keys()].sort()).toEqual(["csr-key", "csr-malformed", "read"]);
  }, 120_000);

  test("of any text is refused", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.base64String({ maxLength: 300 }), (text, base64) => {
        for (const pem of [text, pemOf(Buffer.from(base64, "base64"))]) {
          expect(outcomeOf(() => readCsr(pem))).toMatchObject({ code: "csr-malformed" });
        }
      }),
      { numRuns: 5_000 },
    );
  }, 60_000);

  // Each of these costs the check of a signature, so five thousand.
  test("with mutated bytes never gets a certificate for another key or name", async () => {
    await fc.assert(
      fc.asyncProperty(mutated, async (bytes) => {
        const verified = await verifyCsr(pemOf(bytes), own).catch((error: unknown) =>
          outcomeOf((): undefined => {
            throw error;
          }),
        );
        if (verified !== undefined && !(verified instanceof EnrollmentRefused)) {
          // What was signed is whole: only what stands outside of it may have changed.
          expect(verified.publicKey).toEqual(new Uint8Array(spki));
        }
      }),
      { numRuns: 5_000 },
    );
  }, 120_000);

  // Each of these costs a signature and its check, so a thousand.
  test("that is signed well is taken exactly when it names its sender once, or nobody", async () => {
    const name = fc.oneof(
      { weight: 4, arbitrary: fc.constant(uri(own)) },
      fc.constantFrom(
        uri("spiffe://cluster.local/ns/default/sa/admin"),
        uri(`${own},URI:spiffe://cluster.local/ns/default/sa/admin`),
        uri(`${own}\0`),
        uri(` ${own}`),
        uri(own.toUpperCase()),
        uri(""),
        { tag: 2, bytes: Buffer.from(own) },
        { tag: 1, bytes: Buffer.from(own) },
        { tag: 7, bytes: Buffer.from([127, 0, 0, 1]) },
      ),
      fc.record({ tag: fc.nat(8), bytes: fc.uint8Array({ maxLength: 40 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(name, { maxLength: 3 }), { maxLength: 3 }), async (lists) => {
        const all = lists.flat();
        const [first] = all;
        const onlyOwn = all.length === 1 && first?.tag === 6 && Buffer.from(first.bytes).toString() === own;
        const outcome = await verifyCsr(pemOf(requestOf(lists)), own).catch((error: unknown) => error);
        if (lists.length === 0 || onlyOwn) expect(outcome).toMatchObject({ publicKey: new Uint8Array(spki) });
        else expect(outcome).toBeInstanceOf(EnrollmentRefused);
      }),
      { numRuns: 1_000 },
    );
  }, 120_000);

  test("is issued for its sender whatever an attribute of others says", async () => {
    const strange = requestOf([[uri("spiffe://cluster.local/ns/default/sa/admin")]], MICROSOFT_EXTENSIONS);
    await expect(verifyCsr(pemOf(strange), own)).resolves.toMatchObject({ publicKey: new Uint8Array(spki) });
  });

  test("with a compressed point or explicit curve parameters is refused: one key has one form", async () => {
    const point = spki.subarray(-65);
    const compressed = Buffer.concat([
      Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex"),
      Buffer.from([2 + ((point[64] ?? 0) & 1)]),
      point.subarray(1, 33),
    ]);
    expect(createPublicKey({ key: compressed, format: "der", type: "spki" }).equals(publicKey)).toBe(true);
    const { publicKey: explicit } = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      paramEncoding: "explicit",
      publicKeyEncoding: { type: "spki", format: "der" },
      privateKeyEncoding: { type: "pkcs8", format: "der" },
    });
    for (const key of [compressed, explicit]) {
      await expect(verifyCsr(pemOf(requestOf([], EXTENSION_REQUEST, key)), own)).rejects.toMatchObject({
        code: "csr-key",
      });
    }
  });

  test.each(["secp256k1", "P-521"])("of the curve %s is refused", async (namedCurve) => {
    const key = generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "der" });
    await expect(verifyCsr(pemOf(requestOf([], EXTENSION_REQUEST, key)), own)).rejects.toMatchObject({
      code: "csr-key",
    });
  });
});
