import { describe, expect, test } from "vitest";
import { gatewayDocument, kubernetesService, refusalsOf, statusesOf } from "../../test/gateway-documents.ts";
import { policyNamed, translated } from "../../test/translated.ts";

const reviews = kubernetesService("reviews", "[{ port: 443, name: https }]");
const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
const roots = (name: string, entry = "ca.crt", value = pem): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: shop }\ndata: ${JSON.stringify({ [entry]: value })}\n---\n`;

const target = "targetRefs: [{ group: '', kind: Service, name: reviews }]";
const policy = (validation: string, name = "tls", targets = target, metadata = ""): string =>
  gatewayDocument("BackendTLSPolicy", name, `{ ${targets}, validation: ${validation} }`, { metadata });
const named = (name: string): string =>
  `{ hostname: reviews.example.com, caCertificateRefs: [{ group: "", kind: ConfigMap, name: ${name} }] }`;

const tlsOf = (yaml: string) => {
  const service = policyNamed(translated(yaml).policies, "Service", "reviews");
  return service?.kind === "Service" ? service.tls : undefined;
};
const under = "under Service/shop/reviews";

describe("a BackendTLSPolicy", () => {
  test("is the tls of its service, with the roots of a ConfigMap", () => {
    const yaml = reviews + roots("ca") + policy(named("ca"));
    expect(tlsOf(yaml)).toEqual({ mode: "simple", sni: "reviews.example.com", ca: pem });
    expect(policyNamed(translated(yaml).policies, "Service", "reviews")).toMatchObject({ port: 443 });
    expect(statusesOf(yaml)).toEqual([
      `BackendTLSPolicy/shop/tls ${under}: Accepted=True Accepted, ResolvedRefs=True ResolvedRefs`,
    ]);
  });

  test("trusts the roots of the system where it says so, and names of the certificate beside the host", () => {
    const names = "[{ type: Hostname, hostname: a.example }, { type: URI, uri: 'spiffe://cluster.local/ns/a/sa/b' }]";
    expect(
      tlsOf(reviews + policy(`{ hostname: a.example, wellKnownCACertificates: System, subjectAltNames: ${names} }`)),
    ).toEqual({ mode: "simple", sni: "a.example", subjectAltNames: ["a.example", "spiffe://cluster.local/ns/a/sa/b"] });
  });

  test.each([
    ["no ConfigMap", "", named("ca"), "InvalidCACertificateRef"],
    ["no entry ca.crt", roots("ca", "tls.crt"), named("ca"), "InvalidCACertificateRef"],
    ["no certificate", roots("ca", "ca.crt", "secret"), named("ca"), "InvalidCACertificateRef"],
    ["another kind", roots("ca"), named("ca").replace("ConfigMap", "Secret"), "InvalidKind"],
  ])("with %s lets connections fail, and is not accepted", (_, documents, validation, reason) => {
    const yaml = reviews + documents + policy(validation);
    expect(tlsOf(yaml)).toEqual({
      mode: "simple",
      sni: "reviews.example.com",
      subjectAltNames: ["no-valid-ca-certificate.invalid"],
    });
    expect(statusesOf(yaml)).toEqual([
      `BackendTLSPolicy/shop/tls ${under}: Accepted=False NoValidCACertificate, ResolvedRefs=False ${reason}`,
    ]);
  });

  test("takes the roots that are there where others are not", () => {
    const validation = named("ca").replace("]", ", { group: '', kind: ConfigMap, name: lost }]");
    const yaml = reviews + roots("ca") + policy(validation);
    expect(tlsOf(yaml)?.ca).toBe(pem);
    expect(statusesOf(yaml)[0]).toContain("Accepted=True Accepted, ResolvedRefs=False InvalidCACertificateRef");
  });

  test("of two for a service the older one holds, and the other is in conflict", () => {
    const of = (host: string, name: string, year: number): string =>
      policy(
        `{ hostname: ${host}, wellKnownCACertificates: System }`,
        name,
        target,
        `creationTimestamp: "${year}-01-01T00:00:00Z"`,
      );
    const yaml = reviews + of("young.example", "a", 2025) + of("old.example", "b", 2020);
    expect(tlsOf(yaml)?.sni).toBe("old.example");
    expect(statusesOf(yaml)).toEqual([
      `BackendTLSPolicy/shop/b ${under}: Accepted=True Accepted, ResolvedRefs=True ResolvedRefs`,
      `BackendTLSPolicy/shop/a ${under}: Accepted=False Conflicted, ResolvedRefs=True ResolvedRefs`,
    ]);
  });

  test("tells of a service or a port that is not there", () => {
    const of = (name: string, section: string): string =>
      policy(named("ca"), name, `targetRefs: [{ group: "", kind: Service, name: ${name}${section} }]`);
    const statuses = statusesOf(reviews + roots("ca") + of("nobody", "") + of("reviews", ", sectionName: grpc"));
    expect(statuses.map((each) => each.replace(/,.*/, ""))).toEqual([
      "BackendTLSPolicy/shop/nobody under Service/shop/nobody: Accepted=False TargetNotFound",
      "BackendTLSPolicy/shop/reviews under Service/shop/reviews:grpc: Accepted=False TargetNotFound",
    ]);
  });

  test.each([
    ["no hostname", "{ wellKnownCACertificates: System }", "a hostname is needed"],
    ["a hostname with a wildcard", "{ hostname: '*.example', wellKnownCACertificates: System }", "no name of a host"],
    ["no roots", "{ hostname: a.example }", "caCertificateRefs or wellKnownCACertificates is needed"],
    ["two kinds of roots", named("ca").replace("{ ", "{ wellKnownCACertificates: System, "), "set one"],
    ["other roots of the system", "{ hostname: a.example, wellKnownCACertificates: Mozilla }", "is not one of System"],
    [
      "a name without a value",
      "{ hostname: a.example, wellKnownCACertificates: System, subjectAltNames: [{ type: URI }] }",
      "needs it",
    ],
    [
      "a name that is no URI",
      "{ hostname: a.example, wellKnownCACertificates: System, subjectAltNames: [{ type: URI, uri: a }] }",
      "no URI",
    ],
  ])("with %s is refused", (_, validation, reason) => {
    const yaml = reviews + roots("ca") + policy(validation);
    expect(refusalsOf(yaml)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
    expect(tlsOf(yaml)).toBeUndefined();
    expect(statusesOf(yaml)[0]).toContain("Accepted=False Invalid");
  });

  test.each([
    ["no target", "targetRefs: []", "needs a target"],
    ["one target twice", `${target.replace("]", ", { group: '', kind: Service, name: reviews }]")}`, "is there twice"],
    [
      "a target twice, once with a section",
      target.replace("]", ", { group: '', kind: Service, name: reviews, sectionName: https }]"),
      "needs a section",
    ],
  ])("with %s is refused", (_, targets, reason) => {
    expect(
      refusalsOf(reviews + policy("{ hostname: a.example, wellKnownCACertificates: System }", "tls", targets)),
    ).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});
