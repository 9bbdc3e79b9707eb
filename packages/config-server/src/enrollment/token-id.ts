import { randomBytes } from "node:crypto";

/** A new id of 96 bits, base64url. None begins with "-": a command line would take it for an option. */
export const newTokenId = (): string => {
  for (;;) {
    const id = randomBytes(12).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
};
