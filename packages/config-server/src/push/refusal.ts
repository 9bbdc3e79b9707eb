import type { RefusalCode } from "@tulle/protocol";

/** Codes of the closing handshake (RFC 6455, section 7.4.1, and the IANA registry behind it). */
export const closeCodes = {
  normal: 1000,
  protocolError: 1002,
  unsupportedData: 1003,
  policyViolation: 1008,
  tooLarge: 1009,
  internal: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
} as const;

/** How a connection ends that is refused; the reason of the closing frame is the refusal's code. */
export const closeCodeOf = (code: RefusalCode): number => {
  switch (code) {
    case "binary-frame":
      return closeCodes.unsupportedData;
    case "too-large":
      return closeCodes.tooLarge;
    case "bad-json":
    case "bad-message":
    case "unknown-type":
    case "wrong-order":
      return closeCodes.protocolError;
    case "behind":
    case "slow-reader":
    case "issuer-unavailable":
    case "too-many":
      return closeCodes.tryAgainLater;
    case "internal":
      return closeCodes.internal;
    default:
      return closeCodes.policyViolation;
  }
};

/** How an upgrade is answered that is refused. */
export const httpStatusOf = (code: RefusalCode): number => {
  switch (code) {
    case "identity-mismatch":
    case "not-allowed":
    case "revoked":
      return 403;
    case "issuer-unavailable":
    case "too-many":
      return 503;
    case "internal":
      return 500;
    default:
      return 401;
  }
};
