import { expect, test } from "vitest";
import { fetchKeysBy } from "./fetch-keys.ts";

const fetching = (response: Response, seen: unknown[] = []) =>
  fetchKeysBy(async (url, init) => {
    seen.push([url, init.redirect]);
    return response;
  })("https://issuer.test/keys", { signal: new AbortController().signal, maxBytes: 8 });

test("keys are the body of an answer, and no redirect is followed", async () => {
  const seen: unknown[] = [];
  expect(await fetching(new Response("{keys}"), seen)).toBe("{keys}");
  expect(seen).toEqual([["https://issuer.test/keys", "manual"]]);
});

test.each([301, 302, 204, 404, 500])("status %i is no answer", async (status) => {
  const response = new Response(status === 204 ? null : "x", {
    status,
    headers: { location: "http://elsewhere.test/" },
  });
  await expect(fetching(response)).rejects.toThrow(`status ${status}`);
});

test("an answer that is too long is not read to its end", async () => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(6)),
    cancel: () => {
      cancelled = true;
    },
  });
  await expect(fetching(new Response(endless))).rejects.toThrow("longer than 8 bytes");
  expect(cancelled).toBe(true);
});

test("an answer that is no UTF-8 is refused", async () => {
  await expect(fetching(new Response(new Uint8Array([0xff])))).rejects.toThrow();
});
