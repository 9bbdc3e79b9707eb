import type { AdminError, AdminProblems } from "@tulle/protocol";

/** What the admin API answers when it does not do what it was asked. `error` is stable; docs/config-server.md lists them. */
export class AdminFailure extends Error {
  override readonly name: string = "AdminFailure";
  readonly status: number;
  readonly body: AdminError | AdminProblems;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: AdminError | AdminProblems, headers: Readonly<Record<string, string>> = {}) {
    super("message" in body ? body.message : `${body.problems.length} problems`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** The request cannot be understood: 400. */
export const badRequest = (message: string): AdminFailure => new AdminFailure(400, { error: "bad-request", message });

/** The request names something that does not exist: 404. */
export const notFound = (error: string, message: string): AdminFailure => new AdminFailure(404, { error, message });
