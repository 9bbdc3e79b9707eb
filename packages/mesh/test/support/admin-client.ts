import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import type { Policy } from "@tulle/policy";
import type {
  Acknowledgement,
  ApplyResult,
  EndpointList,
  History,
  MemberList,
  PolicyList,
  RenewResult,
  ServerStatus,
  TokenIssued,
  TokenRequest,
} from "@tulle/protocol";

export type { Acknowledgement as AcknowledgementOf, MemberList };

/** What an answer of the admin API was. */
export interface AdminAnswer<T> {
  readonly status: number;
  readonly body: T;
}

/** The admin API as the tests use it. */
export interface AdminClient {
  call<T>(method: string, path: string, body?: unknown): Promise<AdminAnswer<T>>;
  /** Applies, and fails the test when it is refused. */
  apply(policies: readonly Policy[]): Promise<ApplyResult>;
  /** Waits until every live member has answered. */
  acknowledged(revision: string): Promise<Acknowledgement>;
  token(request: TokenRequest): Promise<string>;
  members(): Promise<MemberList>;
  endpoints(): Promise<EndpointList>;
  policies(): Promise<PolicyList>;
  history(): Promise<History>;
  status(): Promise<ServerStatus>;
  renew(member?: string): Promise<RenewResult>;
}

/** Reads `admin.json` of a state folder, as the command line does. */
export const adminClient = async (stateDir: string): Promise<AdminClient> => {
  // Read anew each time, as a command does: the config-server replaces the root in it when that is rotated.
  const readFileOf = async () =>
    JSON.parse(await readFile(join(stateDir, "admin.json"), "utf8")) as Record<"url" | "token" | "ca", string>;
  await readFileOf();
  const call = async <T>(method: string, path: string, body?: unknown): Promise<AdminAnswer<T>> => {
    const { url, token, ca } = await readFileOf();
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const sent = request(
        new URL(path, url),
        {
          method,
          ca,
          agent: false,
          headers: {
            authorization: `Bearer ${token}`,
            ...(text === undefined ? {} : { "content-type": "application/json" }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => {
            const answer = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, body: (answer === "" ? undefined : JSON.parse(answer)) as T });
          });
          response.on("error", reject);
        },
      );
      sent.on("error", reject);
      sent.end(text);
    });
  };
  const good = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await call<T>(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    call,
    apply: (policies) => good("POST", "/v1/apply", { policies }),
    acknowledged: (revision) => good("GET", `/v1/revisions/${revision}/acknowledgement?timeout=10s`),
    token: async (wanted) => (await good<TokenIssued>("POST", "/v1/tokens", wanted)).token,
    members: () => good("GET", "/v1/members"),
    endpoints: () => good("GET", "/v1/endpoints"),
    policies: () => good("GET", "/v1/policies"),
    history: () => good("GET", "/v1/history"),
    status: () => good("GET", "/v1/status"),
    renew: (member) => good("POST", "/v1/certificates/renew", member === undefined ? {} : { member }),
  };
};
