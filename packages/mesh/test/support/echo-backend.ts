import type { IncomingMessage, ServerResponse } from "node:http";

/** What an echo backend answers: who it is, and what it was sent. */
export interface Echo {
  readonly backend: string;
  readonly namespace: string;
  readonly method: string;
  readonly path: string;
  readonly host: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads what the query asks of an echo backend: `?delay=1s`, `?responseCode=500&succeedAfter=2&uuid=x`. */
interface Behaviour {
  readonly delayMs: number;
  readonly failsWith: number | undefined;
}

/**
 * A handler that answers what it was sent, as the echo servers of Istio's and the Gateway API's tests do. The header
 * `x-echo-set-header` (`name:value`, several with commas) makes it set headers; every request is told to `heard`.
 */
export const echoBackend = (
  backend: string,
  namespace: string,
  heard: (backend: string) => void = () => undefined,
): ((request: IncomingMessage, response: ServerResponse) => void) => {
  const tries = new Map<string, number>();
  return (request, response) => {
    heard(backend);
    const { delayMs, failsWith } = behaviourOf(new URL(request.url ?? "/", "http://echo").searchParams, tries);
    const echo: Echo = {
      backend,
      namespace,
      method: request.method ?? "",
      path: request.url ?? "",
      host: request.headers.host,
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    };
    for (const field of headersToSet(request.headers["x-echo-set-header"])) response.appendHeader(...field);
    request.resume();
    setTimeout(() => {
      response.writeHead(failsWith ?? 200, { "content-type": "application/json" });
      response.end(request.method === "HEAD" ? undefined : JSON.stringify(echo));
    }, delayMs);
  };
};

const behaviourOf = (query: URLSearchParams, tries: Map<string, number>): Behaviour => {
  const [, seconds = "0"] = /^([\d.]+)s$/.exec(query.get("delay") ?? "") ?? [];
  const code = query.get("responseCode");
  const key = `${query.get("uuid")} ${code} ${query.get("succeedAfter")}`;
  const tried = (tries.get(key) ?? 0) + 1;
  tries.set(key, tried);
  const fails = code !== null && tried <= Number(query.get("succeedAfter") ?? Number.POSITIVE_INFINITY);
  return { delayMs: 1_000 * Number(seconds), failsWith: fails ? Number(code) : undefined };
};

const headersToSet = (value: string | readonly string[] | undefined): readonly [string, string][] =>
  (typeof value === "string" ? value : (value ?? []).join(","))
    .split(",")
    .filter((each) => each.includes(":"))
    .map((each) => {
      const colon = each.indexOf(":");
      return [each.slice(0, colon).trim(), each.slice(colon + 1).trim()];
    });
