/** This protocol's version; raised when an older peer could not understand a message. */
export const PROTOCOL_VERSION = 1;

/** The oldest version that is still served: two before the present one, so that members two minor releases old work. */
export const OLDEST_PROTOCOL_VERSION: number = Math.max(1, PROTOCOL_VERSION - 2);

/** Largest message of a member, in bytes. */
export const MAX_MEMBER_MESSAGE_BYTES = 1_048_576;

/** Largest message of a config-server, in bytes: one part. */
export const MAX_PART_BYTES = 262_144;

/** Values whose JSON is longer than this are sent compressed to members that can. */
export const COMPRESS_ABOVE_BYTES = 16_384;

/** Largest resource as JSON; an apply that would make a larger one is refused. */
export const MAX_RESOURCE_BYTES = 196_608;

/** A leaf of the trie holds at most this many entries. */
export const MAX_SLICE_ENTRIES = 100;

/** A member that has not said hello by then is disconnected. */
export const HELLO_TIMEOUT_MS = 5_000;

/** A member that joined by a token and has no certificate by then is disconnected. */
export const ENROLL_TIMEOUT_MS = 60_000;

/** Where the WebSocket is, on the config-server's mesh port. */
export const MESH_PATH = "/v1/mesh";
