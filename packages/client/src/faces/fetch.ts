import { isMeshError, type MeshError } from "@tulle/policy";
import { belongsTo, type MeshCall } from "../call.ts";
import type { Reply } from "../reply.ts";
import { discardBody, isStreamBody } from "../retry/replay-body.ts";
import type { Resolution } from "../routing/resolve-host.ts";
import { flattenHeaders } from "./call-headers.ts";
import { closedFailure, type FaceKit, makeCall, refusalOf } from "./call-maker.ts";
import { type FailedCall, failureReply, wantsReply } from "./failure-reply.ts";
import { type FetchRequest, type MeshRequestInit, type RequestLike, readRequest, urlOf } from "./fetch-request.ts";
import { followSignal } from "./follow-signal.ts";
import { headersOf, linkToResponse, MeshResponse } from "./mesh-response.ts";
import { tracedInit } from "./own-machine-trace.ts";
import { headersAfter, isRedirect, MAX_REDIRECTS, redirectTo } from "./redirect.ts";

/**
 * WHATWG `fetch` through the mesh. Hosts outside the mesh go to the built-in fetch, untouched. Requests, headers and bodies
 * of any copy of undici are understood.
 *
 * @throws MeshError, a TypeError, for failures of the mesh; the signal's reason for aborts; TypeError where the standard does.
 */
export type MeshFetch = (input: string | URL | RequestLike, init?: MeshRequestInit) => Promise<Response>;

/**
 * Makes {@link MeshFetch}.
 *
 * @param outside the built-in fetch, for hosts outside the mesh.
 */
export const createFetch = (face: FaceKit, outside: MeshFetch): MeshFetch => {
  const kit: FetchKit = { face, outside };
  return (input, init) => {
    try {
      linkToResponse();
      // Whoever names a dispatcher wants that one.
      if (typeof init === "object" && init !== null && "dispatcher" in init && init.dispatcher !== undefined) {
        return outside(input, init);
      }
      const url = urlOf(input);
      const to = face.hosts.resolve(url.origin);
      if (to.kind === "outside") {
        face.counters.outside++;
        const own = typeof input === "object" && "headers" in input ? input.headers : undefined;
        // A caller's options with other headers are still a caller's options.
        return outside(input, tracedInit(face, to, init, own) as MeshRequestInit | undefined);
      }
      return begin(kit, to, readRequest(input, url, init ?? undefined), 0);
    } catch (error) {
      return Promise.reject(error);
    }
  };
};

/** What the steps of a fetch hand on. */
interface FetchKit {
  readonly face: FaceKit;
  readonly outside: MeshFetch;
}

const begin = (kit: FetchKit, to: Resolution, request: FetchRequest, redirects: number): Promise<Response> => {
  const asReply = wantsReply(request.options ?? {}, kit.face.localReplies);
  const place = `${request.method} ${request.origin}${request.path}`;
  if (kit.face.closed) return refuse(closedFailure(place), request.method, asReply);
  if (to.kind !== "mesh") {
    kit.face.counters.refused++;
    return refuse(refusalOf(place, to as Extract<Resolution, { kind: "refused" }>), request.method, asReply);
  }
  const { signal } = request;
  if (signal?.aborted === true) return Promise.reject(signal.reason);
  const call = makeCall(kit.face, to, {
    method: request.method,
    path: request.path,
    headers: flattenHeaders(request.headers),
    body: request.body,
    options: request.options,
  });
  const release = signal === undefined ? undefined : followSignal(signal, call);
  return kit.face.send(call).then(
    (reply) => {
      if (release !== undefined) reply.onDone(release);
      if (isRedirect(reply.status) && request.redirect !== "manual")
        return redirect(kit, request, call, reply, redirects);
      return new MeshResponse({
        call,
        reply,
        url: `${call.scheme}://${call.authority}${call.path}`,
        redirected: redirects > 0,
      });
    },
    (error: unknown) => {
      release?.();
      return fail(call, error, asReply);
    },
  );
};

const redirect = async (
  kit: FetchKit,
  request: FetchRequest,
  call: MeshCall,
  reply: Reply,
  redirects: number,
): Promise<Response> => {
  const from = new URL(call.path, `${call.scheme}://${call.authority}`);
  const { location } = reply.headers;
  if (request.redirect === "error") {
    reply.discard();
    throw new TypeError("fetch failed", { cause: new Error("unexpected redirect") });
  }
  if (typeof location !== "string") return new MeshResponse({ call, reply, url: from.href, redirected: redirects > 0 });
  reply.discard();
  if (redirects >= MAX_REDIRECTS) throw new TypeError("fetch failed", { cause: new Error("redirect count exceeded") });
  const next = redirectTo(from, request.method, reply.status, location);
  if (!next.dropsBody && isStreamBody(call.body)) {
    throw new TypeError("fetch failed", { cause: new Error("a body that is a stream cannot follow a redirect") });
  }
  const { url, method } = next;
  const further: FetchRequest = {
    ...request,
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: headersAfter(next, request.headers),
    body: next.dropsBody ? null : request.body,
  };
  const to = kit.face.hosts.resolve(url.origin);
  return to.kind === "outside" ? leave(kit, url, further) : begin(kit, to, further, redirects + 1);
};

/** Follows a redirect out of the mesh. */
const leave = (kit: FetchKit, url: URL, { method, headers, body, signal }: FetchRequest): Promise<Response> => {
  kit.face.counters.outside++;
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) pairs.push([headers[at] ?? "", headers[at + 1] ?? ""]);
  return kit.outside(url, {
    method,
    headers: pairs,
    // Only strings and bytes come here: streams follow no redirect.
    body: body as NonNullable<RequestInit["body"]> | null,
    ...(signal === undefined ? {} : { signal }),
  });
};

const fail = (call: MeshCall, error: unknown, asReply: boolean): Response | Promise<never> => {
  const reason = call.cancel.cancelled ? call.cancel.reason : error;
  discardBody(call.body, reason instanceof Error ? reason : new Error("the call was given up"));
  if (!isMeshError(reason)) {
    // The standard wants network errors to be TypeErrors; aborts are the caller's own reason.
    return Promise.reject(call.cancel.cancelled ? reason : new TypeError("fetch failed", { cause: reason }));
  }
  call.failure = reason;
  const result = asReply ? responseOf(reason, call) : reason;
  belongsTo(result, call);
  return result instanceof Response ? result : Promise.reject(result);
};

/** A call that never began. */
const refuse = (error: MeshError, method: string, asReply: boolean): Promise<Response> =>
  asReply ? Promise.resolve(responseOf(error, { method })) : Promise.reject(error);

const responseOf = (error: MeshError, call: FailedCall): Response => {
  const { status, statusText, rawHeaders, body } = failureReply(error, call);
  return new Response(call.method === "HEAD" ? null : new Uint8Array(body), {
    status,
    statusText,
    headers: headersOf(rawHeaders),
  });
};
