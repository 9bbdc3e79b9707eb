import "reflect-metadata";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, webcrypto } from "node:crypto";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { formatSpiffeId } from "@tulle/policy";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { certificateRequest, requestInformation, signedRequest } from "./certificate-request.ts";
import { bitString, implicit, objectIdentifier, octetString, pem, sequence, setOf, smallInteger } from "./der.ts";

/** DER read by the letter of X.690, one byte after the other: slow, and plain to see. */
const readValue = (bytes: Uint8Array): { tag: number; content: Uint8Array; rest: Uint8Array } => {
  const [tag = -1, first = -1] = bytes;
  let length = first;
  let at = 2;
  if (first >= 0x80) {
    length = 0;
    for (let more = first - 0x80; more > 0; more--) length = length * 256 + (bytes[at++] ?? -1);
    // The shortest form alone is DER.
    if (length < 0x80 || (bytes[2] ?? 0) === 0) throw new Error("a length that is too long");
  }
  if (at + length > bytes.length) throw new Error("a length beyond the end");
  return { tag, content: bytes.slice(at, at + length), rest: bytes.slice(at + length) };
};

const readIdentifier = (content: Uint8Array): string => {
  const numbers: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(value);
      value = 0;
    }
  }
  const [shared = 0, ...rest] = numbers;
  const first = Math.min(2, Math.floor(shared / 40));
  return [first, shared - first * 40, ...rest].join(".");
};

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.from(one).equals(other);
const content = fc.uint8Array({ maxLength: 400 });

describe("DER is written as it is read, 100,000 times each", () => {
  const runs = { numRuns: 100_000 } as const;

  test.each<[string, (bytes: Uint8Array) => Uint8Array, number, (bytes: Uint8Array) => Uint8Array]>([
    ["a sequence", (bytes) => sequence(bytes), 0x30, (bytes) => bytes],
    ["a set", (bytes) => setOf(bytes), 0x31, (bytes) => bytes],
    ["an octet string", octetString, 0x04, (bytes) => bytes],
    ["a bit string", bitString, 0x03, (bytes) => Buffer.concat([Buffer.from([0]), bytes])],
    ["an implicit tag", (bytes) => implicit(6, false, bytes), 0x86, (bytes) => bytes],
    ["a constructed tag", (bytes) => implicit(0, true, bytes), 0xa0, (bytes) => bytes],
  ])(
    "%s",
    (_, write, tag, inside) => {
      fc.assert(
        fc.property(content, (bytes) => {
          const read = readValue(write(bytes));
          return read.tag === tag && same(read.content, inside(bytes)) && read.rest.length === 0;
        }),
        runs,
      );
    },
    60_000,
  );

  test("an object identifier", () => {
    const identifier = fc
      .tuple(fc.constantFrom(0, 1, 2), fc.nat(10_000), fc.array(fc.nat(2 ** 31 - 1), { maxLength: 6 }))
      .map(([first, second, rest]) => [first, first < 2 ? second % 40 : second, ...rest].join("."));
    fc.assert(
      fc.property(identifier, (dotted) => {
        const { tag, content: inside, rest } = readValue(objectIdentifier(dotted));
        return tag === 0x06 && rest.length === 0 && readIdentifier(inside) === dotted;
      }),
      runs,
    );
  }, 60_000);

  test("a length of more than 64 KiB", () => {
    for (const length of [0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x12_3456]) {
      expect(readValue(octetString(new Uint8Array(length))).content.length).toBe(length);
    }
    expect([...readValue(smallInteger(127)).content]).toEqual([127]);
  });
});

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = publicKey.export({ type: "spki", format: "der" });
const empty = new Uint8Array();

const valuesIn = (bytes: Uint8Array): ReturnType<typeof readValue>[] => {
  const values: ReturnType<typeof readValue>[] = [];
  for (let rest = bytes; rest.length > 0; rest = values.at(-1)?.rest ?? empty) values.push(readValue(rest));
  return values;
};

/** A value with its head, as it was. */
const tagged = (value: ReturnType<typeof readValue> | undefined): Uint8Array => sequence(value?.content ?? empty);

const dummySignature = new Uint8Array(70);

const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
const segment = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}$/);
const spiffeId = fc
  .tuple(trustDomain, fc.array(segment, { maxLength: 20 }))
  .map(([domain, segments]) =>
    formatSpiffeId({ trustDomain: domain, path: segments.map((each) => `/${each}`).join("") }),
  );

/** What another implementation reads. */
const readBy = (request: Pkcs10CertificateRequest) => ({
  subject: request.subject,
  key: Buffer.from(request.publicKey.rawData).equals(spki),
  extensions: request.extensions.map(({ type, critical, rawData }) => [
    type,
    critical,
    new SubjectAlternativeNameExtension(rawData).names.items.map((name) => `${name.type}:${name.value}`),
  ]),
});
const expected = (id: string) => ({ subject: "", key: true, extensions: [["2.5.29.17", true, [`url:${id}`]]] });

describe("a certificate request for any SPIFFE ID", () => {
  test("has the ID, the key and nothing else, 100,000 times", () => {
    fc.assert(
      fc.property(spiffeId, (id) => {
        const whole = readValue(signedRequest(requestInformation(spki, id), dummySignature));
        const information = readValue(whole.content);
        const [version, subject, key, attributes] = valuesIn(information.content);
        const [type, values] = valuesIn(valuesIn(attributes?.content ?? empty)[0]?.content ?? empty);
        const [extension, ...more] = valuesIn(valuesIn(values?.content ?? empty)[0]?.content ?? empty);
        const [oid, critical, value] = valuesIn(extension?.content ?? empty);
        const names = valuesIn(readValue(value?.content ?? empty).content);
        return (
          whole.rest.length === 0 &&
          version?.content.length === 1 &&
          subject?.content.length === 0 &&
          same(tagged(key), spki) &&
          readIdentifier(type?.content ?? empty) === "1.2.840.113549.1.9.14" &&
          more.length === 0 &&
          readIdentifier(oid?.content ?? empty) === "2.5.29.17" &&
          critical?.content[0] === 0xff &&
          names.length === 1 &&
          names[0]?.tag === 0x86 &&
          Buffer.from(names[0].content).toString("latin1") === id
        );
      }),
      { numRuns: 100_000 },
    );
  }, 120_000);

  // The other implementation takes one or two milliseconds for each, so two thousand.
  test("says exactly that ID to @peculiar/x509", () => {
    fc.assert(
      fc.property(spiffeId, (id) => {
        const der = signedRequest(requestInformation(spki, id), dummySignature);
        expect(readBy(new Pkcs10CertificateRequest(new Uint8Array(der)))).toEqual(expected(id));
      }),
      { numRuns: 2_000 },
    );
  }, 60_000);

  // Each of these costs a signature and its verification, so a thousand.
  test("is signed as @peculiar/x509 verifies it", async () => {
    await fc.assert(
      fc.asyncProperty(spiffeId, async (id) => {
        const request = new Pkcs10CertificateRequest(certificateRequest(privateKey, id));
        expect(await request.verify(webcrypto)).toBe(true);
        expect(readBy(request)).toEqual(expected(id));
      }),
      { numRuns: 1_000 },
    );
  }, 60_000);

  // Each of these costs a process, so a sample.
  test.skipIf(spawnSync("openssl", ["version"]).status !== 0)(
    "is verified by the openssl command",
    () => {
      fc.assert(
        fc.property(spiffeId, (id) => {
          const { status, stdout, stderr } = spawnSync("openssl", ["req", "-verify", "-noout", "-text"], {
            input: certificateRequest(privateKey, id),
            encoding: "utf8",
          });
          expect(status, stderr).toBe(0);
          const lines = stdout.split("\n").map((line) => line.trim());
          expect(lines[lines.indexOf("X509v3 Subject Alternative Name: critical") + 1]).toBe(`URI:${id}`);
        }),
        { numRuns: 25 },
      );
    },
    60_000,
  );

  test("is not written for what is no SPIFFE ID", () => {
    // "\u0161" ends in the byte of "a": cut down to ASCII it would be another name.
    for (const id of ["", "reviews", "spiffe://td/\u0161", "spiffe://td/a\0", "spiffe://td/a,URI:spiffe://td/b"]) {
      expect(() => certificateRequest(privateKey, id)).toThrow(RangeError);
    }
  });
});

test("PEM is what openssl and others wrap", () => {
  fc.assert(
    fc.property(content, (bytes) => {
      const lines = pem("X", bytes).split("\n");
      expect(lines.slice(1, -2).every((line) => line.length <= 64)).toBe(true);
      return Buffer.from(lines.slice(1, -2).join(""), "base64").equals(bytes);
    }),
    { numRuns: 5_000 },
  );
});
