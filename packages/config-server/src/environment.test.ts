import { describe, expect, test } from "vitest";
import { optionsFromEnvironment } from "./environment.ts";

describe("options from the environment", () => {
  test("only what is set, parsed", () => {
    expect(
      optionsFromEnvironment({
        TULLE_STATE_DIR: "/var/lib/tulle",
        TULLE_PORT: "0",
        TULLE_HOST: "",
        TULLE_HOSTS: "mesh.example, 10.0.0.7",
        TULLE_CERTIFICATE_TTL: "6s",
        PATH: "/bin",
      }),
    ).toEqual({ stateDir: "/var/lib/tulle", port: 0, hosts: ["mesh.example", "10.0.0.7"], certificateTtlMs: 6000 });
  });

  test.each([
    ["TULLE_PORT", "http", 'TULLE_PORT="http" is no port: write 0 to 65535'],
    ["TULLE_ADMIN_PORT", "-1", 'TULLE_ADMIN_PORT="-1" is no port'],
    ["TULLE_CERTIFICATE_TTL", "6", 'TULLE_CERTIFICATE_TTL="6" is no duration'],
    ["TULLE_START_GRACE", "5 s", 'TULLE_START_GRACE="5 s" is no duration'],
  ])("%s=%s is refused", (name, value, message) => {
    expect(() => optionsFromEnvironment({ [name]: value })).toThrow(message);
  });
});
