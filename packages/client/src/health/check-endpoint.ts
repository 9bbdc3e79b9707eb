import type { EndpointPool } from "../transport/endpoint-pool.ts";
import type { Probe } from "./health-checker.ts";
import { checkHttp } from "./http-check.ts";
import { checkTcp } from "./tcp-check.ts";

/** Asks an endpoint once, over a connection of its own, made as those of calls are. */
export const checkEndpoint: Probe<EndpointPool> = (pool, { probe, timeoutMs }, signal) => {
  const connect = pool.connectApart(timeoutMs);
  return probe.kind === "http" ? checkHttp(connect, probe, signal) : checkTcp(connect, probe, signal);
};
