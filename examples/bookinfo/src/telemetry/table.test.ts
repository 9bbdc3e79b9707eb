import { describe, expect, test } from "vitest";
import type { Edge } from "./edges.ts";
import { LiveScreen } from "./live-screen.ts";
import { renderTable } from "./table.ts";

const edge = (more: Partial<Edge> = {}): Edge => ({
  source: "productpage",
  destination: "reviews",
  requests: 1_000,
  failures: 0,
  unencrypted: 0,
  durations: { scale: 7, zeroCount: 0, offset: -1_000, counts: [1] },
  versions: { v2: 200, v1: 800 },
  ...more,
});

describe("the table", () => {
  test("shows totals, and the rest of the last seconds", () => {
    const recent = edge({ requests: 500, versions: { v1: 250, v2: 250 } });
    const table = renderTable({
      total: [edge()],
      recent: { edges: [recent], windowMs: 10_000 },
      notes: ["load"],
      color: false,
    });
    expect(table.split("\n")).toEqual([
      "edge                   requests  failed  req/s  success      p50      p99  mTLS  versions",
      "productpage → reviews      1000       0   50.0    100 %  4.46 ms  4.47 ms   yes  v1 50.0 %  v2 50.0 %",
      "load",
    ]);
  });

  test("marks an edge that failed or was not mTLS", () => {
    const bad = edge({ failures: 5, unencrypted: 1 });
    const table = renderTable({ total: [bad], recent: { edges: [bad], windowMs: 1_000 }, notes: [], color: true });
    expect(table).toContain("99.50 %");
    expect(table).toContain("NO");
    expect(table).toContain("\x1b[31m");
  });

  test("has a row for an edge that is silent", () => {
    const table = renderTable({ total: [edge()], recent: { edges: [], windowMs: 1_000 }, notes: [], color: false });
    expect(table).toMatch(/1000 +0 +0 +- +- +- +yes +-$/);
  });
});

describe("the screen", () => {
  const screenOn = (isTTY: boolean) => {
    const written: string[] = [];
    const output = { isTTY, columns: 12, write: (text: string) => written.push(text) };
    return { screen: new LiveScreen(output), written };
  };

  test("redraws in place on a terminal, and keeps what was said above", () => {
    const { screen, written } = screenOn(true);
    screen.draw("a\nb");
    screen.say("news");
    screen.draw("c");
    expect(written).toEqual(["a\nb\n", "\x1b[2A\x1b[0Jnews\na\nb\n", "\x1b[2A\x1b[0Jc\n"]);
  });

  test("cuts lines that would wrap", () => {
    const { screen, written } = screenOn(true);
    screen.draw("0123456789abcdef");
    expect(written).toEqual(["0123456789a…\n"]);
  });

  test("only appends elsewhere", () => {
    const { screen, written } = screenOn(false);
    screen.draw("a\nb");
    screen.say("news");
    expect(written).toEqual(["a\nb\n\n", "news\n"]);
  });
});
