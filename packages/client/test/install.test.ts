import { expect, test } from "vitest";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

const globals = globalThis as unknown as Record<symbol, unknown>;
const places = [Symbol.for("undici.globalDispatcher.1"), Symbol.for("undici.globalDispatcher.2")];
const standing = (): unknown[] => places.map((place) => globals[place]);

test.each(["first installed, first uninstalled", "first installed, last uninstalled"])(
  "two meshes share the built-in fetch and give it back, %s",
  async (order) => {
    await using server = await serve((_request, response) => response.end("answered"));
    await using one = clientOf(snapshotOf({ one: { endpoints: [server.endpoint] } }));
    await using two = clientOf(snapshotOf({ two: { endpoints: [server.endpoint] } }));
    const outside = `http://127.0.0.1:${server.endpoint.port}/`;
    const answers = async (url: string): Promise<string> => (await fetch(url)).text();
    await answers(outside);
    one.install();
    const [first, last] = order.endsWith("first uninstalled") ? [one, two] : [two, one];
    one.uninstall();
    const before = standing();

    one.install();
    two.install();
    for (const url of ["http://one/", "http://two/", outside]) expect(await answers(url)).toBe("answered");
    first.uninstall();
    expect(await answers(outside)).toBe("answered");
    expect(await answers(first === one ? "http://two/" : "http://one/")).toBe("answered");
    last.uninstall();
    expect(standing()).toEqual(before);
    standing().forEach((each, at) => {
      expect(each).toBe(before[at]);
    });
    expect(await answers(outside)).toBe("answered");
  },
);
