import type { RefusalCode } from "./member-messages.ts";

/** Something that was said against the protocol. The side that notices it answers `refused` with the code, and closes. */
export class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
  /** Stable; each has a row in docs/protocol.md. */
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
