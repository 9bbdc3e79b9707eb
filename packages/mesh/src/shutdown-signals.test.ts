import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { leaveOnSignal, type SignalSource } from "./shutdown-signals.ts";

const fakeProcess = () => {
  const emitter = new EventEmitter();
  const kill = vi.fn();
  return { emitter, kill, source: Object.assign(emitter, { pid: 7, kill }) as unknown as SignalSource };
};

test("a signal is raised again once the mesh was left", async () => {
  const { emitter, kill, source } = fakeProcess();
  const left = Promise.withResolvers<void>();
  leaveOnSignal(() => left.promise, source);
  emitter.emit("SIGTERM");
  await Promise.resolve();
  expect(kill).not.toHaveBeenCalled();
  left.resolve();
  await left.promise;
  await Promise.resolve();
  expect(kill).toHaveBeenCalledExactlyOnceWith(7, "SIGTERM");
});

test("a failed leave ends the process as well", async () => {
  const { emitter, kill, source } = fakeProcess();
  leaveOnSignal(() => Promise.reject(new Error("no")), source);
  emitter.emit("SIGINT");
  await vi.waitFor(() => expect(kill).toHaveBeenCalledWith(7, "SIGINT"));
});

test("an application that handles the signal itself decides the end itself", async () => {
  const { emitter, kill, source } = fakeProcess();
  emitter.on("SIGTERM", () => undefined);
  leaveOnSignal(() => Promise.resolve(), source);
  emitter.emit("SIGTERM");
  await new Promise((resolve) => setImmediate(resolve));
  expect(kill).not.toHaveBeenCalled();
});

test("a second signal finds no listener and ends the process at once", () => {
  const { emitter, source } = fakeProcess();
  leaveOnSignal(() => new Promise(() => undefined), source);
  emitter.emit("SIGTERM");
  expect(emitter.listenerCount("SIGTERM") + emitter.listenerCount("SIGINT")).toBe(0);
});

test("nothing stays behind when it is taken back", () => {
  const { emitter, source } = fakeProcess();
  leaveOnSignal(() => Promise.resolve(), source)();
  expect(emitter.listenerCount("SIGTERM") + emitter.listenerCount("SIGINT")).toBe(0);
});
