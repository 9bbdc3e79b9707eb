// For whoever runs a config-server in a process or a test.
export type { AdminFile } from "./admin/admin-file.ts";
export { type AuditLine, type ChainVerdict, hashOfLine, verifyChain } from "./audit/audit-chain.ts";
export { AUDIT_FILE, type AuditEvent } from "./audit/audit-log.ts";
export { readAuditLog } from "./audit/read-audit-log.ts";
export type { GivenAuthority } from "./authority/given-authority.ts";
export { type CertificateSigner, SigningFailed } from "./authority/signer.ts";
export { type ConfigServer, createConfigServer } from "./create-config-server.ts";
export type { IssueLimit } from "./enrollment/issue-limiter.ts";
export { type ConfigServerEnvironment, optionsFromEnvironment } from "./environment.ts";
export {
  DEFAULT_STATE_DIR,
  type RunningConfigServer,
  type StartOptions,
  startConfigServer,
} from "./main.ts";
export type { OidcAlgorithm, OidcIssuer, OidcSubjectRule } from "./oidc/oidc-issuer.ts";
export {
  type ConfigServerLogger,
  type ConfigServerOptions,
  DEFAULT_ADMIN_PORT,
  DEFAULT_PORT,
} from "./options.ts";
export { StateFolderInUse } from "./state-folder-lock.ts";
// For whoever brings another store.
export {
  MAX_COMMIT_BYTES,
  MAX_COMMIT_OPERATIONS,
  type StateStore,
  type StoreCheck,
  type StoreEntry,
  type StoreEvent,
  type StoreLease,
  type StoreWrite,
} from "./store/state-store.ts";
