import type { Reply } from "../reply.ts";

/** Frees the connections of bodies that nobody will ever read, as the built-in fetch does. */
const abandoned = new FinalizationRegistry<Reply>((reply) => reply.discard());

/**
 * Discards a reply's body when its holder is garbage. Only for bodies that are still coming: whoever is whole holds no
 * connection. The reply must not refer to the holder before its body is taken.
 */
export const discardWithHolder = (holder: object, reply: Reply): void => abandoned.register(holder, reply);
