import { isMeshError, MeshError, type MeshErrorCode } from "@tulle/policy";
import type { Call } from "./send.ts";

/** The way a call took until now, outermost first: where it was going, by which rule, to which subset. */
export const wayOf = (call: Call): readonly string[] => {
  const way = [`${call.method} ${call.scheme}://${call.authority}${withoutQuery(call.path)}`];
  if (call.rule !== undefined) way.push(`rule ${call.rule}`);
  if (call.plan !== undefined) way.push(`service ${call.plan.destination}`);
  if (call.subset !== undefined) way.push(`subset ${call.subset}`);
  return way;
};

/** A failure of a call, with its way and its attempts. The query is left out: it may hold secrets. */
export const failCall = (
  call: Call,
  code: MeshErrorCode,
  message: string,
  detail?: { readonly cause?: unknown; readonly hint?: string },
): MeshError => new MeshError(code, { message, path: wayOf(call), attempts: call.attempts, ...detail });

/**
 * Gives a failure that was made below, where only the endpoint is known, the way and the attempts of its call. Anything that
 * is no failure of the mesh, such as a caller's abort reason, stays what it is.
 */
export const completeFailure = (call: Call, error: unknown): unknown => {
  if (!isMeshError(error) || error.attempts === call.attempts) return error;
  const { code, message, cause } = error;
  const prefix = `${code}: `;
  return failCall(call, code, message.startsWith(prefix) ? message.slice(prefix.length) : message, { cause });
};

const withoutQuery = (path: string): string => {
  const at = path.indexOf("?");
  return at < 0 ? path : path.slice(0, at);
};
