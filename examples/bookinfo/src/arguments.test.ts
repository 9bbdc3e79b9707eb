import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";

test("without options it runs until it is stopped", () => {
  expect(readArguments([])).toEqual({
    kind: "run",
    options: { chaos: false, istio: false, forMs: undefined, json: false, rate: 50, port: undefined },
  });
});

test("all options together", () => {
  const argv = ["--chaos", "--for", "15s", "--json", "--rate", "100", "--port=8080"];
  expect(readArguments(argv)).toEqual({
    kind: "run",
    options: { chaos: true, istio: false, forMs: 15_000, json: true, rate: 100, port: 8080 },
  });
});

test("--istio needs nothing else, and goes with a port", () => {
  expect(readArguments(["--istio", "--port", "0"])).toEqual({
    kind: "run",
    options: { chaos: false, istio: true, forMs: undefined, json: false, rate: 50, port: 0 },
  });
});

test("--help wins", () => {
  expect(readArguments(["--help", "--chaos"])).toEqual({ kind: "help" });
});

describe("refused", () => {
  test.each([
    [["--fro", "15s"], "Unknown option '--fro'"],
    [["15s"], "Unexpected argument '15s'"],
    [["--for"], "Option '--for <value>' argument missing"],
    [["--for", "soon"], "soon"],
    [["--for", "10ms"], "--for is 10ms, but at least 1s is needed"],
    [["--rate", "0"], '--rate is "0", but a whole number from 1 to 500 is needed'],
    [["--rate", "1.5"], '--rate is "1.5"'],
    [["--port", "65536"], '--port is "65536"'],
    [["--json"], "--json needs an end"],
    [["--istio", "--chaos"], "--istio makes its own traffic and ends by itself: leave out --chaos"],
    [["--istio", "--rate", "5"], "leave out --rate"],
  ])("%j", (argv, message) => {
    expect(readArguments(argv)).toEqual({ kind: "invalid", message: expect.stringContaining(message) });
  });
});
