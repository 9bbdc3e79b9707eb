import type { PolicyFeature, ServiceKey } from "@tulle/policy";
import {
  encodeMessage,
  type HeldStream,
  type Hello,
  MAX_MEMBER_MESSAGE_BYTES,
  type Stream,
  type StreamState,
  streams,
  supportedVersions,
} from "@tulle/protocol";
import type { HeldStreams } from "./subscription.ts";

/** Name and version of this software, for people. */
export const SOFTWARE = "tulle/0.1.0";

/** What the member says of itself and of what it holds, encoded. */
export const encodeHello = (
  member: Hello["member"],
  held: HeldStreams,
  subscriptions: readonly ServiceKey[],
  policyFeatures: readonly PolicyFeature[] = [],
  maxBytes: number = MAX_MEMBER_MESSAGE_BYTES,
): string => {
  const hello = (heldStreams: Hello["held"]): string =>
    encodeMessage({
      type: "hello",
      protocol: supportedVersions,
      features: ["gzip", ...policyFeatures],
      software: SOFTWARE,
      member,
      held: heldStreams,
      subscriptions,
    });
  const text = hello(perStream(held, describeHeld));
  // Too much to tell: a server that is told of no revision sends everything, in full.
  return Buffer.byteLength(text) <= maxBytes ? text : hello(perStream(held, onlySeen));
};

const perStream = (
  held: HeldStreams,
  describe: (state: StreamState) => HeldStream,
): Partial<Record<Stream, HeldStream>> => Object.fromEntries(streams.map((stream) => [stream, describe(held[stream])]));

const describeHeld = ({ revision, seen, resources }: StreamState): HeldStream => ({
  revision,
  seen,
  resources: Object.fromEntries(Array.from(resources, ([name, { version }]) => [name, version])),
});

const onlySeen = ({ seen }: StreamState): HeldStream => ({ revision: null, seen, resources: {} });
