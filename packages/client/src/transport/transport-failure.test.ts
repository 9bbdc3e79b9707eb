import { describe, expect, test } from "vitest";
import { MeshCall } from "../call.ts";
import { type FailedAt, isCertificateRefused, transportFailure } from "./transport-failure.ts";
import { undici } from "./undici.ts";

const call = new MeshCall({
  method: "GET",
  authority: "reviews",
  port: 80,
  path: "/7?token=secret",
  service: "default/reviews",
  headers: [],
  body: null,
  replayable: true,
  options: {},
  startedAtMs: 0,
  inherited: undefined,
});

const coded = (code: string) => Object.assign(new Error("what undici says"), { code });
const failure = (error: unknown, at: FailedAt, mtls = false) =>
  transportFailure(call, error, at, { where: "endpoint a", mtls });

describe("a transport's error", () => {
  const rows: [code: string, at: FailedAt, meshCode: string][] = [
    ["ECONNREFUSED", "queued", "CONNECT_FAILED"],
    ["ENOTFOUND", "queued", "CONNECT_FAILED"],
    ["UND_ERR_DESTROYED", "queued", "CONNECT_FAILED"],
    ["ECONNRESET", "queued", "CONNECT_FAILED"],
    ["ECONNRESET", "sent", "CONNECTION_TERMINATED"],
    ["EPIPE", "sent", "CONNECTION_TERMINATED"],
    ["UND_ERR_SOCKET", "sent", "CONNECTION_TERMINATED"],
    ["UND_ERR_DESTROYED", "sent", "CONNECTION_TERMINATED"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "sent", "CONNECTION_TERMINATED"],
    ["ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "sent", "CONNECTION_TERMINATED"],
    ["UND_ERR_SOCKET", "replying", "REPLY_BROKEN"],
    ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "replying", "REPLY_BROKEN"],
    ["UND_ERR_HEADERS_OVERFLOW", "sent", "REPLY_BROKEN"],
    ["UND_ERR_INVALID_ARG", "queued", "INVALID_CALL"],
    ["UND_ERR_NOT_SUPPORTED", "queued", "INVALID_CALL"],
    ["UND_ERR_REQ_CONTENT_LENGTH_MISMATCH", "sent", "INVALID_CALL"],
  ];

  test.each(rows)("%s of a request that is %s is %s, with the error as its cause", (code, at, meshCode) => {
    const error = coded(code);
    expect(failure(error, at)).toMatchObject({ code: meshCode, cause: error });
  });

  test("that has no code but breaks HTTP is REPLY_BROKEN", () => {
    expect(failure(new undici.errors.HTTPParserError("bad"), "sent")).toMatchObject({ code: "REPLY_BROKEN" });
  });

  test.each([new Error("disk is gone"), coded("ENOENT")])("of the caller's own comes back as it is", (error) => {
    expect(failure(error, "sent")).toBe(error);
  });

  test("names the way of the call without its query", () => {
    expect(String(failure(coded("ECONNRESET"), "sent"))).toContain("http://reviews/7");
    expect(String(failure(coded("ECONNRESET"), "sent"))).not.toContain("secret");
  });

  test("of an mTLS peer adds that it may have refused our certificate", () => {
    expect(String(failure(coded("UND_ERR_SOCKET"), "sent", true))).toContain("refused our certificate");
    expect(String(failure(coded("UND_ERR_SOCKET"), "sent", false))).not.toContain("certificate");
  });
});

test.each([
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", true],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", true],
  ["ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED", true],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", true],
  ["ERR_SSL_SSL/TLS_ALERT_BAD_RECORD_MAC", false],
  ["ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR", false],
  ["ECONNRESET", false],
])("%s proves that the request was not read: %s", (code, proves) => {
  expect(isCertificateRefused(code)).toBe(proves);
});
