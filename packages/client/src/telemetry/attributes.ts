import type { Attributes } from "@opentelemetry/api";
import { isMeshError, methodAttribute, splitServiceKey } from "@tulle/policy";
import type { Attempt, Call } from "../send.ts";

/** What the caller addressed: server and port as the semantic conventions want them, before any endpoint was chosen. */
export const addressedTo = (call: Call): Attributes => ({
  "http.request.method": methodAttribute(call.method),
  "server.address": hostOf(call.authority),
  "server.port": call.port,
  // The copies of a mirror stand apart from the calls in every span and every series.
  ...(call.shadow ? { "tulle.mirror": true } : {}),
});

/** What a fault did to a call, in Envoy's response flags: DI delayed it, FI answered it. */
export const flagsOf = ({ injectedDelayMs, injectedAbort }: Call): readonly string[] => [
  ...(injectedDelayMs > 0 ? ["DI"] : []),
  ...(injectedAbort ? ["FI"] : []),
];

/** The flags as an attribute; none where nothing was injected. */
export const flaggedWith = (call: Call): Attributes => {
  if (call.injectedDelayMs === 0 && !call.injectedAbort) return {};
  return { "tulle.response_flags": flagsOf(call).join(",") };
};

/** Of spans alone: every URL would be a metric series of its own. */
export const urlOf = (call: Call): Attributes => ({ "url.full": `${call.scheme}://${call.authority}${call.path}` });

/** Where the mesh sent it. */
export const sentTo = (call: Call): Attributes => {
  const attributes: Attributes = { "tulle.service": splitServiceKey(call.plan?.destination ?? call.service).name };
  if (call.subset !== undefined) attributes["tulle.subset"] = call.subset;
  return attributes;
};

/** Which endpoint an attempt went to. */
export const triedOn = ({ chosen }: Attempt): Attributes =>
  chosen === undefined
    ? {}
    : {
        "tulle.endpoint": chosen.id,
        "network.peer.address": chosen.address,
        "network.peer.port": chosen.port,
        "tulle.mtls": chosen.transport === "mtls",
      };

/** How it ended: the status, and `error.type` as the conventions define it. */
export const endedWith = (status: number | undefined, error: unknown): Attributes => {
  const attributes: Attributes = {};
  if (status !== undefined) attributes["http.response.status_code"] = status;
  if (error !== undefined) {
    attributes["error.type"] = isMeshError(error) ? error.code : errorName(error);
    if (isMeshError(error)) attributes["tulle.error.code"] = error.code;
  } else if (status !== undefined && status >= 400) {
    attributes["error.type"] = String(status);
  }
  return attributes;
};

const errorName = (error: unknown): string => (error instanceof Error ? error.name : "Error");

const hostOf = (authority: string): string => {
  const colon = authority.lastIndexOf(":");
  return colon < 0 || authority.endsWith("]") ? authority : authority.slice(0, colon);
};
