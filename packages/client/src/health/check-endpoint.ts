import type { EndpointPool } from "../transport/endpoint-pool.ts";
import { checkGrpc } from "./grpc-check.ts";
import type { Probe } from "./health-checker.ts";
import { checkHttp } from "./http-check.ts";
import { checkTcp } from "./tcp-check.ts";

/** Asks an endpoint once, over a connection of its own, made as those of calls are. */
export const checkEndpoint: Probe<EndpointPool> = (pool, { probe, timeoutMs }, signal) => {
  switch (probe.kind) {
    case "http":
      return checkHttp(pool.connectApart(timeoutMs), probe, signal);
    case "tcp":
      return checkTcp(pool.connectApart(timeoutMs), probe, signal);
    case "grpc":
      return checkGrpc(pool.connectApart(timeoutMs, ["h2"]), probe, signal);
  }
};
