import type { Socket } from "node:net";
import { type EffectiveTcpCheck, MAX_HEALTH_CHECK_BYTES } from "@tulle/policy";
import type { Connect } from "../transport/connector.ts";
import type { CheckResult } from "./health-record.ts";

/** Connects, says what is to be said, and waits for what must come. Of what else comes no more than the bound is kept. */
export const checkTcp = async (
  connect: Connect,
  { send, receive }: EffectiveTcpCheck,
  signal: AbortSignal,
): Promise<CheckResult> => {
  const { promise, resolve } = Promise.withResolvers<CheckResult>();
  let socket: Socket | undefined;
  const giveUp = (): void => resolve("failed");
  signal.addEventListener("abort", giveUp, { once: true });
  connect(undefined, (error, connected) => {
    if (error !== null || connected === null || signal.aborted) {
      connected?.destroy();
      resolve("failed");
      return;
    }
    socket = connected;
    if (send !== undefined) connected.write(send);
    if (receive.length === 0) {
      resolve("passed");
      return;
    }
    let read = Buffer.alloc(0);
    connected.on("data", (chunk: Buffer) => {
      read = Buffer.concat([read, chunk.subarray(0, MAX_HEALTH_CHECK_BYTES - read.length)]);
      if (containsInTurn(read, receive)) resolve("passed");
      else if (read.length === MAX_HEALTH_CHECK_BYTES) resolve("failed");
    });
    connected.once("close", giveUp);
  });
  const result = await promise;
  signal.removeEventListener("abort", giveUp);
  // What was sent is delivered before the end; the peer's own end is not waited for.
  if (result === "passed") socket?.destroySoon();
  else socket?.destroy();
  return result;
};

/** Whether all parts occur, each after the one before, with anything between them. */
export const containsInTurn = (bytes: Buffer, parts: readonly Buffer[]): boolean => {
  let from = 0;
  return parts.every((part) => {
    const at = bytes.indexOf(part, from);
    from = at + part.length;
    return at >= 0;
  });
};
