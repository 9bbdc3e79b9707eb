/** What a visitor of the page was answered. */
export interface Visit {
  readonly status: number;
  readonly ms: number;
  readonly text: string;
}

/** Longer than the page waits for anybody. */
const PATIENCE_MS = 25_000;
const AT_ONCE = 16;

/** Asks the page for something. @throws TypeError when nobody answers */
export const visit = async (url: URL, headers: Readonly<Record<string, string>> = {}): Promise<Visit> => {
  const startedAt = performance.now();
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await response.text();
  return { status: response.status, ms: performance.now() - startedAt, text };
};

/** Asks for the same many times, some at once. */
export const visitOften = async (url: URL, times: number, atOnce: number = AT_ONCE): Promise<readonly Visit[]> => {
  const visits: Visit[] = [];
  let left = times;
  const visitor = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      visits.push(await visit(url));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, visitor));
  return visits;
};

/** The version that answered, out of an answer of the page's API, else the status: `v2`, `503`. */
export const versionIn = ({ status, text }: Visit): string => {
  const { servedBy } = readJson(text) as { readonly servedBy?: { readonly version?: unknown } };
  return status === 200 && typeof servedBy?.version === "string" ? servedBy.version : String(status);
};

/** Why there is nothing, out of an answer of the page's API; empty where there is something. */
export const errorIn = ({ text }: Visit): string => {
  const { error } = readJson(text) as { readonly error?: unknown };
  return typeof error === "string" ? error : "";
};

const readJson = (text: string): object => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
};
