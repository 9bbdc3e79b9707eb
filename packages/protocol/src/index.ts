export type * from "./admin-messages.ts";
export { decodeMemberMessage, decodeServerMessage, encodeMessage } from "./codec.ts";
export { configServerIdentity } from "./config-server-identity.ts";
export { canonicalJson, contentVersion } from "./content-version.ts";
export { type Delta, delta } from "./delta.ts";
export type { JoinTokenClaims } from "./join-token.ts";
export {
  COMPRESS_ABOVE_BYTES,
  ENROLL_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  MAX_MEMBER_MESSAGE_BYTES,
  MAX_PART_BYTES,
  MAX_RESOURCE_BYTES,
  MAX_SLICE_ENTRIES,
  MESH_PATH,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from "./limits.ts";
export type * from "./member-messages.ts";
export { refusalCodes } from "./member-messages.ts";
export { type PreparedResource, packTransaction, prepareResource, type TransactionContent } from "./parts.ts";
export { MAX_PLAINTEXT_CALLERS, PLAINTEXT_CALLERS_FEATURE, type ReportedCaller } from "./plaintext-callers.ts";
export { ProtocolError } from "./protocol-error.ts";
export type * from "./resource.ts";
export { formatResourceName, parseResourceName, type ResourceReference } from "./resource-name.ts";
export { decodeResource } from "./resource-shape.ts";
export { type Leaf, sliceEntries } from "./slices.ts";
export {
  parseRevision,
  type Revision,
  type Stream,
  streams,
} from "./stream.ts";
export {
  addPart,
  beginTransaction,
  type Committed,
  commitTransaction,
  defaultTransactionLimits,
  emptyStream,
  type HeldResource,
  type OpenTransaction,
  refused,
  type StreamState,
  type TransactionLimits,
} from "./transaction.ts";
export { negotiate, supportedVersions, type VersionRange } from "./version.ts";
