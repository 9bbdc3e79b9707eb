import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdminError, AdminProblems } from "@tulle/protocol";
import { Agent, request } from "undici";
import { CommandFailure, exitCodes, usageFailure } from "./exit-code.ts";
import { describeProblems } from "./problems.ts";

/** Asks the admin API. */
export interface AdminClient {
  /**
   * @param path such as `/v1/status`.
   * @param timeoutMs longest wait for the answer. @default 30 s
   * @throws CommandFailure: refused (1) with the server's reason, or unreachable (3).
   */
  ask<T>(method: "GET" | "POST" | "DELETE", path: string, body?: object, timeoutMs?: number): Promise<T>;
  close(): Promise<void>;
}

const ANSWER_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** Where the admin file is: what was given, else TULLE_ADMIN, else `admin.json` in TULLE_STATE_DIR, else in `.tulle`. */
export const adminFilePath = (
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string => given ?? (environment.TULLE_ADMIN || join(environment.TULLE_STATE_DIR || ".tulle", "admin.json"));

/**
 * Opens the admin API that an admin file names.
 *
 * @throws CommandFailure usage (2) when the file cannot be read or is none.
 */
export const openAdminClient = async (file: string): Promise<AdminClient> => {
  const { url, token, ca } = await readAdminFile(file);
  const agent = new Agent({ connect: { ca, timeout: CONNECT_TIMEOUT_MS } });
  return {
    ask: async <T>(
      method: "GET" | "POST" | "DELETE",
      path: string,
      body?: object,
      timeoutMs: number = ANSWER_TIMEOUT_MS,
    ): Promise<T> => {
      const { status, text } = await send(agent, new URL(path, url), method, token, body, timeoutMs);
      if (status === 204) return undefined as T; // The caller names a type for what has no body.
      const answer = parse(text, url);
      if (status === 200) return answer as T; // The config-server speaks the types of the protocol package.
      throw refusal(status, answer);
    },
    close: () => agent.close(),
  };
};

const readAdminFile = async (file: string): Promise<{ url: string; token: string; ca: string }> => {
  const hint = "start a config-server with `tulle up`, or name its admin file with --admin or TULLE_ADMIN";
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw usageFailure(`${file}: ${error.code === "ENOENT" ? "there is no such file" : error.message}; ${hint}`);
  });
  try {
    const content: unknown = JSON.parse(text);
    if (isAdminFile(content)) return content;
  } catch {
    // Said below, like any other content that is none.
  }
  throw usageFailure(`${file} is not the admin file of a config-server; ${hint}`);
};

const isAdminFile = (content: unknown): content is { url: string; token: string; ca: string } =>
  typeof content === "object" &&
  content !== null &&
  ["url", "token", "ca"].every((name) => name in content && typeof Reflect.get(content, name) === "string");

const send = async (
  agent: Agent,
  url: URL,
  method: "GET" | "POST" | "DELETE",
  token: string,
  body: object | undefined,
  timeoutMs: number,
): Promise<{ readonly status: number; readonly text: string }> => {
  try {
    const reply = await request(url, {
      dispatcher: agent,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headersTimeout: timeoutMs,
    });
    return { status: reply.statusCode, text: await reply.body.text() };
  } catch (error) {
    throw unreachable(url, error);
  }
};

const unreachable = (url: URL, error: unknown): CommandFailure => {
  const reason = error instanceof Error ? error.message || error.name : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const strange = code.startsWith("ERR_TLS") || code.includes("CERT") || code.includes("SIGNATURE");
  const message = strange
    ? `what answers at ${url.origin} is not the config-server of the admin file: ${reason}`
    : `no config-server answers at ${url.origin}: ${reason}`;
  return new CommandFailure(exitCodes.unreachable, message, { error: "unreachable", message });
};

const parse = (text: string, url: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreachable(new URL(url), error);
  }
};

const refusal = (status: number, answer: unknown): CommandFailure => {
  // Every answer above 299 is one of these two.
  const detail = answer as AdminError | AdminProblems;
  const message =
    "problems" in detail ? describeProblems(detail.problems) : `${detail.message} (${status} ${detail.error})`;
  return new CommandFailure(exitCodes.refused, message, detail);
};
