import type { AttemptSummary, ServiceKey } from "@tulle/policy";
import type { Dispatcher } from "undici";
import type { Reply } from "./reply.ts";

/** What a caller may say for one call; each field wins over the policy. */
export interface CallOptions {
	/** The whole call, `"2s"` or milliseconds; `0` turns it off. */
	readonly timeout?: string | number;
	readonly attemptTimeout?: string | number;
	/** `false` turns retries off; a number sets how many. */
	readonly retry?: boolean | number;
	/** Whether the mesh's own failures reject (`"error"`) or answer as a proxy would (`"response"`). */
	readonly localReplies?: "error" | "response";
}

/**
 * One call as the mesh sees it, whichever face it came through. An object of fixed shape that lives as long as the call;
 * layers write the fields that are theirs and never copy it.
 */
export interface Call {
	readonly method: string;
	/** Host as the caller wrote it, with the port if there was one. */
	readonly authority: string;
	/** Path and query, beginning with "/". */
	readonly path: string;
	readonly service: ServiceKey;
	/** Flat list of names and values: `["accept", "text/html", ...]`. Control headers are added by the layers that own them. */
	headers: string[];
	readonly body: Dispatcher.DispatchOptions["body"];
	/** Whether `body` can be sent again: absent, a string, or bytes up to the replay bound. */
	readonly replayable: boolean;
	readonly options: CallOptions;
	readonly startedAtMs: number;
	/** Clock milliseconds by which the call must be over, `Infinity` without a limit. Set by the deadline layer. */
	deadlineMs: number;
	/** Set once by the split layer. */
	subset: string | undefined;
	/** Set by the routing: `route/rule`, for telemetry and explanations. */
	rule: string | undefined;
	/** Every attempt, in the order of their starts. */
	readonly attempts: Attempt[];
	/** Aborts the whole call: the caller's signal, the deadline. Listeners are removed when the call is over. */
	readonly cancel: Cancellation;
}

/** One try of a call on one endpoint. */
export interface Attempt extends AttemptSummary {
	number: number;
	endpoint: string | undefined;
	progress: AttemptSummary["progress"];
	status?: number;
	code?: string;
	durationMs: number;
	readonly startedAtMs: number;
}

/** Why a call or an attempt was given up, and who wants to know. Cheaper than an AbortController per layer. */
export interface Cancellation {
	/** The reason, once cancelled: what the caller is rejected with. */
	readonly reason: unknown;
	readonly cancelled: boolean;
	cancel(reason: unknown): void;
	/** Calls `listener` once, at once when already cancelled. Returns the way to stop listening. */
	onCancel(listener: (reason: unknown) => void): () => void;
}

/**
 * Sends a call and settles when the reply's headers are there. Until then a layer may retry, hedge or refuse; after that
 * the reply is committed to its caller.
 *
 * @throws MeshError for the mesh's own failures, the abort reason for aborts, transport errors as they are.
 */
export type Send = (call: Call) => Promise<Reply>;

/** A step around sending. Layers that have nothing to do after the reply return `next(call)` untouched. */
export type Layer = (next: Send) => Send;

/** Puts layers around `send`, first layer outermost: the list reads in the order in which a call meets them. */
export const chain = (layers: readonly Layer[], send: Send): Send =>
	layers.reduceRight((next, layer) => layer(next), send);
