import { MeshError } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import { MeshCall } from "../call.ts";
import { limitOf } from "../layers/enforce-deadline.ts";
import { prepareBody, type ReplayCounters } from "../retry/replay-body.ts";
import type { HostResolver, Resolution } from "../routing/resolve-host.ts";
import type { Call, CallOptions, Inherited, Send } from "../send.ts";
import type { CallHeaders } from "./call-headers.ts";

/** What all faces need of the client. */
export interface FaceKit {
  readonly hosts: HostResolver;
  readonly send: Send;
  readonly clock: Clock;
  readonly random: Random;
  /** What the calling code inherits from the visit that it runs in. */
  readonly inherit: () => Inherited | undefined;
  readonly localReplies: "error" | "response";
  readonly counters: FaceCounters;
  /** Whether the client was closed: no more calls. */
  closed: boolean;
}

/** What the faces tell; totals over the life of the client. */
export interface FaceCounters extends ReplayCounters {
  /** Calls to services of the mesh. */
  calls: number;
  /** Calls that were handed on because their host is not the mesh's. */
  outside: number;
  /** Calls that were refused by their host alone. */
  refused: number;
}

/** Makes a call of what a caller said. In the caller's async context: what it inherits is read here. */
export const makeCall = (
  kit: FaceKit,
  to: Extract<Resolution, { kind: "mesh" }>,
  request: {
    readonly method: string;
    readonly path: string;
    readonly headers: CallHeaders;
    readonly body: Call["body"];
    readonly options: CallOptions | undefined;
  },
): MeshCall => {
  kit.counters.calls++;
  const { body, replayable } = prepareBody(request.body, kit.counters);
  const { headers, options } = request;
  if (options !== undefined) checkOptions(options);
  return new MeshCall({
    method: request.method,
    scheme: to.scheme,
    authority: headers.host ?? to.authority,
    port: to.port,
    path: request.path,
    service: to.service,
    headers: headers.list,
    body,
    replayable,
    options: options ?? noOptions,
    startedAtMs: kit.clock.now(),
    inherited: kit.inherit(),
  });
};

/** The failure of a call whose host alone is reason to refuse it. @param place method and URL */
export const refusalOf = (
  place: string,
  { code, message, hint }: Extract<Resolution, { kind: "refused" }>,
): MeshError => new MeshError(code, { message, path: [place], ...(hint === undefined ? {} : { hint }) });

/** The failure of calls after the end. @param place method and URL */
export const closedFailure = (place: string): MeshError =>
  new MeshError("MESH_CLOSED", { message: "the mesh was left, so no more calls can be made", path: [place] });

const noOptions: CallOptions = Object.freeze({});

const checkOptions = ({ timeout, attemptTimeout, retry }: CallOptions): void => {
  try {
    limitOf(timeout);
    limitOf(attemptTimeout);
  } catch (cause) {
    throw new MeshError("INVALID_CALL", { message: cause instanceof Error ? cause.message : String(cause), cause });
  }
  if (typeof retry === "number" && !(Number.isInteger(retry) && retry >= 0 && retry <= MAX_RETRIES)) {
    throw new MeshError("INVALID_CALL", {
      message: `retry is ${retry}, but must be true, false or a whole number from 0 to ${MAX_RETRIES}`,
    });
  }
};

/** The most retries that a policy or a call may ask for. */
const MAX_RETRIES = 10;
