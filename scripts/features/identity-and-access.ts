import type { FeatureRow } from "./feature-row.ts";

/** Who calls, how it proves that, and whether it may. */
export const identityAndAccess: readonly FeatureRow[] = [
  {
    row: 69,
    capability: "mTLS modes",
    written:
      "`mtls` of `Authentication`: `strict` (default), `permissive`, `disable`, `unset`, by workload and by port; `mtls` of the Mesh; policies of `rootNamespace` hold for all",
    example: `
{ kind: Mesh, name: mesh, mtls: strict, rootNamespace: istio-system }
---
kind: Authentication
name: reviews
selector: { service: reviews, labels: { version: v1 } }
mtls: { mode: permissive, ports: { "9000": disable } }`,
    tests: [
      [
        "packages/server/test/mtls-modes.test.ts",
        "callers of two ports lose no request while each port goes its own way, and each takes plaintext as it says",
      ],
      [
        "packages/server/test/mtls-modes.test.ts",
        "a reply under way in plaintext is finished, says that it is the last one, and ends the connection",
      ],
      [
        "packages/mesh/test/mtls-modes.test.ts",
        "callers follow a service from strict through permissive to disable and back without losing a request",
      ],
      [
        "packages/policy/src/mtls-mode.test.ts",
        "is that of the workload before that of the namespace before that of the root namespace",
      ],
      [
        "packages/mesh/test/migration.slow.test.ts",
        "bookinfo moves from permissive to strict, service by service under traffic: no request fails, and the report empties",
      ],
    ],
    leftOut: "`disable` tells callers to speak plaintext and still answers TLS; only `strict` refuses",
  },
  {
    row: 70,
    capability: "Identity",
    written:
      "`spiffe://<trust domain>/ns/<namespace>/sa/<service account>`; a process joins by a join token, or by an OIDC token such as a Kubernetes service account's",
    tests: [
      [
        "packages/mesh/test/oidc-joining.test.ts",
        "a pod joins by its service account's token from a file, that a later join reads anew",
      ],
      [
        "packages/config-server/test/oidc.test.ts",
        "gives the service account's identity, as often as the token is shown, and audits whose token it was",
      ],
      ["packages/server/test/mutual-tls.test.ts", "%s is refused in the handshake, whatever the certificate"],
    ],
  },
  {
    row: 71,
    capability: "Leaf TTL, rotation",
    written:
      "`certificateTtlMs` or `TULLE_CERTIFICATE_TTL`, 24 h; renewed before half of its life, spread; `tulle certificates rotate prepare`, `distribute`, `activate`, `retire` for the root",
    tests: [
      [
        "packages/mesh/test/root-rotation.test.ts",
        "a root is rotated under traffic in both directions: no request fails, and a long download goes on through all of it",
      ],
      [
        "packages/mesh/test/certificate-life.slow.test.ts",
        "1,000 members over 48 hours: none ever holds an expired certificate, through outages and a rotation, and renewals are spread",
      ],
      [
        "packages/config-server/src/authority/root-rotation.test.ts",
        "a crash between two files leaves the step either undone or done",
      ],
      [
        "packages/mesh/test/revocation.test.ts",
        "a revoked caller loses the call that is under way, its connections and its certificate; others go on",
      ],
      [
        "packages/mesh/src/certificate-metrics.test.ts",
        "tells the seconds that are left of the present certificate, by the config-server's clock, to an SDK that starts later too",
      ],
    ],
    leftOut: "rotation of the root by itself in the last part of its life: an operator begins it",
  },
  {
    row: 72,
    capability: "Key",
    written: "no setting: members ECDSA P-256; a CA of your own P-256, P-384 or RSA from 2048 bits",
    tests: [
      [
        "packages/config-server/test/given-authority.test.ts",
        "signs leaves with %s, which carry its chain; the bundle holds its root alone",
      ],
    ],
  },
  {
    row: 73,
    capability: "CA back ends",
    written:
      "a root of the config-server's own, `TULLE_CA_CHAIN_FILE` and `TULLE_CA_KEY_FILE` for an intermediate of yours, or `certificateAuthority: { certificateChain, sign }` for a KMS or HSM",
    tests: [
      [
        "packages/config-server/test/given-authority.test.ts",
        "takes over from a root of our own once that trusts its root, and not before",
      ],
      [
        "packages/config-server/test/given-authority.test.ts",
        "signs in place of a key, without the key ever being given",
      ],
      [
        "packages/config-server/test/given-authority.test.ts",
        "never lets a leaf outlive the intermediate, nor the root above it",
      ],
      ["packages/config-server/test/oidc.test.ts", "a rule of another issuer's form decides by subject and claims"],
    ],
    leftOut: "cert-manager, Vault and SPIRE as back ends of their own: a signing function reaches them",
  },
  {
    row: 74,
    capability: "Trust domains",
    written:
      "`trustDomainAliases` of the Mesh; `TULLE_TRUST_ROOTS_FILE` for several roots; `tulle certificates federate add partner.test partner.pem`; `trustDomains` of `Access`",
    example: `
{ kind: Mesh, name: mesh, trustDomain: new.example, trustDomainAliases: [old.example] }`,
    tests: [
      [
        "packages/mesh/test/federation.test.ts",
        "a federated caller has its own name and no more: its root signs no names of ours, its control headers count for nothing, and it goes with its bundle",
      ],
      [
        "packages/server/test/trust-domain-aliases.test.ts",
        "a peer under an alias is one of ours, a partner that signs the alias is nobody, and a dropped alias ends its connections",
      ],
      ["packages/config-server/src/authority/federation.test.ts", "refuses what must not be trusted, and says why"],
    ],
    leftOut: "polling of a partner's bundle endpoint: bundles are exchanged by hand",
  },
  {
    row: 75,
    capability: "Authorization",
    written:
      "`Access`: custom, then deny, then allow, then the default; `from`, `to` and `when` with all of Istio's attributes and their `not` forms; beyond the field: `routes`, templates of Express and Fastify",
    example: `
kind: Access
name: readers
selector: { service: reviews }
rules:
  - from: [{ principals: ["cluster.local/ns/default/sa/productpage"], notAddresses: [10.9.0.0/16] }]
    to: [{ methods: [GET], paths: ["/reviews/{*}"] }, { routes: ["/reviews/:id"] }]
    when: [{ key: "request.auth.claims[groups]", values: [staff] }]
---
{ kind: Access, name: no-admin, action: deny, rules: [{ to: [{ paths: ["/admin*"] }] }] }`,
    tests: [
      [
        "packages/policy/src/authorization.reference.test.ts",
        "100,000 decisions are those of a slow evaluator that is obviously right",
      ],
      [
        "packages/policy/src/path-normalization.test.ts",
        "100,000 paths are read as a slow reader reads them, once and for all",
      ],
      [
        "packages/server/test/adapter.contract.ts",
        "refuses other routes before their handlers run, and calls without a route",
      ],
    ],
    leftOut: "conditions on Envoy's filter metadata",
  },
  {
    row: 76,
    capability: "Policy dry-run",
    written:
      "`mode: dry-run` of an `Access`, whatever its action; `mesh.dryRunSamples()`, the counter `tulle.server.access.dry_run`",
    example: `
{ kind: Access, name: tried, mode: dry-run, selector: { service: reviews }, rules: [{ to: [{ methods: [GET] }] }] }`,
    tests: [
      [
        "packages/policy/src/authorization.reference.test.ts",
        "policies in dry-run tell what would be otherwise if they were enforced, and change nothing",
      ],
      [
        "packages/server/src/gates/authorize.test.ts",
        "refuse nothing, and samples tell who would have been refused what",
      ],
    ],
  },
  {
    row: 77,
    capability: "End-user JWT",
    written:
      "`jwt` of `Authentication`: `issuer`, `audiences`, `jwksUri` or `jwks` or OpenID discovery, `fromHeaders`, `fromParams`, `fromCookies`, `outputClaimToHeaders`, `outputPayloadToHeader`, `forwardOriginalToken`; handlers read `mesh.visit.token`",
    example: `
kind: Authentication
name: orders
selector: { service: reviews }
jwt:
  - issuer: https://issuer.example.com
    audiences: [orders]
    jwksUri: https://issuer.example.com/keys
    outputClaimToHeaders: [{ header: x-user, claim: sub }]`,
    tests: [
      [
        "packages/mesh/test/end-user-tokens.test.ts",
        "no call fails while an issuer changes its key under traffic, and the member fetches twice in all",
      ],
      [
        "packages/mesh/test/end-user-tokens.test.ts",
        "tokens with invented key ids make a member fetch once, not once each",
      ],
      [
        "packages/mesh/test/end-user-tokens.test.ts",
        "a member that starts while the issuer is down checks tokens with the keys that its state folder kept",
      ],
    ],
    leftOut: "dry-run of a whole `Authentication`, and lists and objects as header values",
  },
  {
    row: 78,
    capability: "External authorizer",
    written:
      "`authorizers` of the Mesh, and `action: custom` with `authorizer` of an `Access`; 200 ms, refused in doubt; Envoy's ext_authz over HTTP",
    example: `
kind: Mesh
name: mesh
authorizers: { opa: { url: "http://opa.security:8181", pathPrefix: /check, timeout: 200ms } }
---
{ kind: Access, name: admin, action: custom, authorizer: opa, rules: [{ to: [{ paths: ["/admin*"] }] }] }`,
    tests: [
      [
        "packages/mesh/test/external-authorizer.test.ts",
        "an authorizer is asked about calls that its rules fit, and the body waits for its answer",
      ],
      [
        "packages/mesh/test/external-authorizer.test.ts",
        "its refusal is what the caller is told, and it speaks before deny rules do",
      ],
    ],
    leftOut: "ext_authz over gRPC, and bodies of requests",
  },
];
