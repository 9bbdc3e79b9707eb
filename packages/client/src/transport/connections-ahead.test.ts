import { expect, test } from "vitest";
import { connectionsAhead, MOST_AHEAD } from "./connections-ahead.ts";

test.each([
  // calls, connections, ratio, ahead
  [1, 1, 1, 0],
  [1, 1, 1.5, 1],
  [2, 2, 1.5, 1],
  [2, 3, 1.5, 0],
  [10, 10, 1.1, 1],
  [10, 11, 1.1, 0],
  [2, 2, 3, 3],
  [10, 10, 3, MOST_AHEAD],
  [0, 5, 3, 0],
])("%i calls with %i connections at a ratio of %f: %i ahead", (calls, connections, ratio, ahead) => {
  expect(connectionsAhead(calls, connections, ratio)).toBe(ahead);
});
