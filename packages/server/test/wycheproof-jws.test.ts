import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { SignatureCheck } from "../src/tokens/check-signature.ts";
import { isFlaw, readCompactToken } from "../src/tokens/compact-token.ts";
import { type KeySet, keysFor, readKeySet } from "../src/tokens/key-set.ts";

// Project Wycheproof's signed tokens, each with the public key that it is to be checked with.

interface Vectors {
  readonly groups: readonly {
    readonly comment: string;
    readonly key: Readonly<Record<string, unknown>>;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: string;
      readonly result: "valid" | "invalid";
    }[];
  }[];
}

const document = corpus<Vectors>("wycheproof/jws.json");
const signatures = new SignatureCheck();

const accepts = async (jws: string, key: Readonly<Record<string, unknown>>): Promise<boolean> => {
  const token = readCompactToken(jws);
  if (isFlaw(token)) return false;
  let keys: KeySet;
  try {
    keys = readKeySet(JSON.stringify({ keys: [key] }));
  } catch {
    return false;
  }
  return signatures.isSignedByAny(token, keysFor(keys, token.header));
};

describe.skipIf(document.missing)(`signed tokens of Wycheproof${document.note}`, () => {
  const { groups } = document.read() ?? { groups: [] };
  const cases = groups.flatMap(({ comment, key, tests }) =>
    tests.map((each) => [`${each.tcId} ${comment} ${each.comment}`, key, each] as const),
  );

  test.each(cases)("%s", async (_name, key, { jws, result }) => {
    expect(await accepts(jws, key)).toBe(result === "valid");
  });

  test("there are such as are good and such as are not", () => {
    expect(cases.some(([, , { result }]) => result === "valid")).toBe(true);
    expect(cases.some(([, , { result }]) => result === "invalid")).toBe(true);
  });
});
