/** Methods that OpenTelemetry's semantic conventions for HTTP know. */
const knownMethods: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);

/** `http.request.method` of a call: unknown methods are `_OTHER`, so that nobody can invent metric series. */
export const methodAttribute = (method: string): string => (knownMethods.has(method) ? method : "_OTHER");

/** Bounds of the duration histograms that the semantic conventions advise, in seconds. */
export const DURATION_BOUNDS_SECONDS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
