import type { OutsideTls } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";

/** Istio's ClientTLSSettings. */
export const clientTlsMessage: Message<
  | "mode"
  | "clientCertificate"
  | "privateKey"
  | "caCertificates"
  | "caCrl"
  | "credentialName"
  | "subjectAltNames"
  | "sni"
  | "insecureSkipVerify"
> = message("ClientTLSSettings", {
  mode: to("tls.mode"),
  clientCertificate: noMeaning("a file of a proxy; with ISTIO_MUTUAL members show their own certificate"),
  privateKey: noMeaning("a file of a proxy; with ISTIO_MUTUAL members show their own certificate"),
  caCertificates: noMeaning("a file of a proxy: write its certificates as tls.ca of the policy"),
  caCrl: noMeaning("a file of a proxy; certificates of the mesh are revoked by the config-server"),
  credentialName: noMeaning("a secret of a proxy: write its certificates as tls.ca of the policy"),
  subjectAltNames: to("tls.subjectAltNames"),
  sni: to("tls.sni"),
  insecureSkipVerify: noMeaning("a certificate is always checked: write its roots as tls.ca of the policy"),
});

type TlsFields = FieldsOf<typeof clientTlsMessage>;

/** What TLS a document wants of calls. */
export interface ReadClientTls {
  /** `mesh`: that of members among themselves. */
  readonly mode: "disable" | "simple" | "mutual" | "mesh";
  /** The same, for a service outside the mesh. */
  readonly outside: OutsideTls;
}

/** Reads the TLS of calls, as strictly as Istio does. */
export const readClientTls = (fields: TlsFields | undefined): ReadClientTls | undefined => {
  if (fields === undefined) return undefined;
  const mode = fields.oneOf("mode", ["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]) ?? "DISABLE";
  const names = fields.texts("subjectAltNames") ?? [];
  const sni = fields.text("sni") || undefined;
  const skips = fields.flag("insecureSkipVerify") === true;
  const given = (name: "clientCertificate" | "privateKey" | "caCertificates" | "caCrl" | "credentialName"): boolean =>
    (fields.text(name) ?? "") !== "";
  if (skips && (mode === "SIMPLE" || mode === "MUTUAL")) {
    const checks = [
      ...(given("caCertificates") ? (["caCertificates"] as const) : []),
      ...(given("credentialName") && mode === "SIMPLE" ? (["credentialName"] as const) : []),
      ...(names.length > 0 ? (["subjectAltNames"] as const) : []),
    ];
    for (const name of checks) fields.refuse(name, "it would be checked, and insecureSkipVerify says that nothing is");
  }
  if (mode === "SIMPLE" || mode === "MUTUAL") checkFiles(fields, mode, given);
  const rest = {
    ...(sni === undefined ? {} : { sni }),
    ...(names.length === 0 ? {} : { subjectAltNames: names }),
  };
  switch (mode) {
    case "DISABLE":
      return { mode: "disable", outside: { mode: "disable" } };
    case "ISTIO_MUTUAL":
      return { mode: "mesh", outside: { mode: "mutual", ...rest } };
    case "SIMPLE":
      return { mode: "simple", outside: { mode: "simple", ...rest } };
    case "MUTUAL":
      // A certificate of the mesh is nothing to show to whoever asked for another one.
      return { mode: "mutual", outside: { mode: "simple", ...rest } };
  }
};

const checkFiles = (
  fields: TlsFields,
  mode: "SIMPLE" | "MUTUAL",
  given: (name: "clientCertificate" | "privateKey" | "caCertificates" | "caCrl" | "credentialName") => boolean,
): void => {
  if (given("credentialName")) {
    for (const name of ["clientCertificate", "privateKey", "caCertificates", "caCrl"] as const) {
      if (given(name)) fields.refuse(name, "credentialName holds the certificates: set one of both");
    }
    return;
  }
  if (mode === "SIMPLE") return;
  for (const name of ["clientCertificate", "privateKey"] as const) {
    if (!given(name)) fields.refuse(name, "MUTUAL needs a client's certificate and its key");
  }
};
