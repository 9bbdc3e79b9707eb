import fc from "fast-check";
import { expect, test } from "vitest";
import { xxh64 } from "../hashing/xxh64.ts";
import { destinationTag, formatSession, parseSession } from "./session.ts";

test("what was written is read", () => {
  const seconds = fc.integer({ min: 0, max: 2 ** 40 });
  fc.assert(
    fc.property(fc.string(), seconds, (destination, beganS) => {
      const tag = destinationTag(destination, xxh64("default/reviews"));
      const written = formatSession({ tag, beganS });
      expect(parseSession(written)).toEqual({ tag, beganS });
      // What RFC 6265 allows in a cookie without quotes.
      expect(written).toMatch(/^[\w.]{1,64}$/);
    }),
  );
});

test("anything else is no session, or one whose fields are of the right form", () => {
  const near = fc
    .array(fc.oneof(fc.constantFrom("1", "2", "", "zz", "ffffffffffffffff", "-1", "1e9"), fc.string()))
    .map((parts) => parts.join("."));
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 400, size: "max" }), near), (text) => {
      const found = parseSession(text);
      if (found === undefined) return;
      expect(text.startsWith("1.")).toBe(true);
      expect(Number.isSafeInteger(found.beganS) && found.beganS >= 0).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("a tag is of one destination of one service", () => {
  const [reviews, ratings] = [xxh64("default/reviews"), xxh64("default/ratings")];
  const tags = [
    destinationTag("default/reviews:v1", reviews),
    destinationTag("default/reviews:v2", reviews),
    destinationTag("default/reviews:v1", ratings),
  ];
  expect(new Set(tags).size).toBe(3);
  expect(destinationTag("default/reviews:v1", reviews)).toBe(tags[0]);
});
