import { expect, test } from "vitest";
import { withoutControlHeaders } from "./control-headers.ts";

test("takes out the mesh's own headers in any case, and nothing else", () => {
  const raw = ["Tulle-Drain", "1", "X-A", "tulle-drain", "TULLE-REFUSED", "unprocessed", "x-b", "2"].map((each) =>
    Buffer.from(each),
  );
  expect(withoutControlHeaders(raw).map(String)).toEqual(["X-A", "tulle-drain", "x-b", "2"]);
});
