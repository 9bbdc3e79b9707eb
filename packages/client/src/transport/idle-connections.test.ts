import { expect, test } from "vitest";
import { IdleConnections } from "./idle-connections.ts";

/** A bound of two, with what it ended. */
const twoIdle = () => {
  const ended: string[] = [];
  let overflows = 0;
  const idle = new IdleConnections(2, () => overflows++);
  const connection = (name: string) => ({ retire: () => void ended.push(name) });
  return { idle, ended, connection, overflows: () => overflows };
};

test("beyond the bound the one that has been idle for longest is ended", () => {
  const { idle, ended, connection, overflows } = twoIdle();
  for (const name of ["a", "b", "c", "d"]) idle.add(connection(name));
  expect([ended, idle.size, overflows()]).toEqual([["a", "b"], 2, 2]);
});

test("one that was used meanwhile counts from when it became idle again", () => {
  const { idle, ended, connection } = twoIdle();
  const [a, b] = [connection("a"), connection("b")];
  idle.add(a);
  idle.add(b);
  idle.delete(a);
  idle.add(a);
  idle.add(connection("c"));
  expect(ended).toEqual(["b"]);
});
