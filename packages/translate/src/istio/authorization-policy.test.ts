import { describe, expect, it, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const policy = (spec: string, meta = "{ name: a }"): string =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: ${meta}\nspec: ${spec}`;

const WARNED = "nothing of this";

describe("an AuthorizationPolicy", () => {
  test("becomes an Access policy with all that its rules ask for", () => {
    const { policies, told } = translated(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  action: DENY
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/shop/sa/web"]
            notNamespaces: [test]
            requestPrincipals: ["*"]
            ipBlocks: [10.0.0.0/8]
            notIpBlocks: [10.1.2.3]
        - source: { serviceAccounts: [web, shop/api], notTrustDomains: [old] }
      to:
        - operation:
            hosts: ["*.shop"]
            notHosts: [a.shop]
            ports: ["8080"]
            notPorts: ["9090"]
            methods: [GET]
            notMethods: ["P*"]
            paths: ["/a", "/b/{*}"]
            notPaths: ["/a/*"]
      when:
        - { key: "request.headers[x-a]", values: ["1"], notValues: ["2"] }
        - { key: destination.port, values: ["080"] }`);
    expect(told).toEqual([]);
    expect(policies).toEqual([
      {
        kind: "Access",
        name: "orders",
        namespace: "shop",
        selector: { labels: { app: "orders" } },
        action: "deny",
        rules: [
          {
            from: [
              {
                principals: ["cluster.local/ns/shop/sa/web"],
                notNamespaces: ["test"],
                requestPrincipals: ["*"],
                addresses: ["10.0.0.0/8"],
                notAddresses: ["10.1.2.3"],
              },
              { serviceAccounts: ["web", "shop/api"], notTrustDomains: ["old"] },
            ],
            to: [
              {
                hosts: ["*.shop"],
                notHosts: ["a.shop"],
                ports: [8080],
                notPorts: [9090],
                methods: ["GET"],
                notMethods: ["P*"],
                paths: ["/a", "/b/{*}"],
                notPaths: ["/a/*"],
              },
            ],
            when: [
              { key: "request.headers[x-a]", values: ["1"], notValues: ["2"] },
              { key: "destination.port", values: ["80"] },
            ],
          },
        ],
      },
    ]);
  });

  it.each([
    ["an ALLOW without rules allows nothing", "{}", { action: "allow" }],
    ["no rule in its list either", "{ rules: [] }", { action: "allow" }],
    ["an empty rule means every call", "{ action: DENY, rules: [{}] }", { action: "deny", rules: [{}] }],
    [
      "lists that are empty say nothing",
      "{ rules: [{ from: [{ source: { principals: [], namespaces: [b] } }] }] }",
      {
        action: "allow",
        rules: [{ from: [{ namespaces: ["b"] }] }],
      },
    ],
    ["AUDIT notes", "{ action: AUDIT, rules: [{}] }", { action: "audit", rules: [{}] }],
  ])("%s", (_name, spec, fields) => {
    const { policies, refused } = translated(policy(spec));
    expect(refused).toEqual([]);
    expect(policies).toEqual([{ kind: "Access", name: "a", namespace: "default", ...fields }]);
  });

  it.each([
    ["a DENY without rules", "{ action: DENY }", "spec.rules"],
    ["a DENY with an empty list of rules", "{ action: DENY, rules: [] }", "spec.rules"],
    ["an action that is none", "{ action: DROP, rules: [{}] }", "spec.action"],
    ["an unknown field", "{ rule: [{}] }", "spec.rule"],
    ["an empty rule that was forgotten", "{ rules: [~] }", "spec.rules[0]"],
    ["an empty `from`", "{ rules: [{ from: [] }] }", "spec.rules[0].from"],
    ["a `from` that is null", "{ rules: [{ from: ~ }] }", "spec.rules[0].from"],
    [
      "principals that are null",
      "{ rules: [{ from: [{ source: { principals: ~, namespaces: [b] } }] }] }",
      "spec.rules[0].from[0].source.principals",
    ],
    [
      "a value that is null",
      "{ rules: [{ to: [{ operation: { paths: [~] } }] }] }",
      "spec.rules[0].to[0].operation.paths[0]",
    ],
    ["a `from` without source", "{ rules: [{ from: [{}] }] }", "spec.rules[0].from[0].source"],
    ["an item of `from` that is null", "{ rules: [{ from: [~] }] }", "spec.rules[0].from[0]"],
    ["an empty source", "{ rules: [{ from: [{ source: {} }] }] }", "spec.rules[0].from[0].source"],
    ["an empty `to`", "{ rules: [{ to: [] }] }", "spec.rules[0].to"],
    ["a `to` without operation", "{ rules: [{ to: [{}] }] }", "spec.rules[0].to[0].operation"],
    ["an empty operation", "{ rules: [{ to: [{ operation: { ports: [] } }] }] }", "spec.rules[0].to[0].operation"],
    ["a condition that is null", "{ rules: [{ when: [~] }] }", "spec.rules[0].when[0]"],
    ["a condition without key", "{ rules: [{ when: [{ values: [a] }] }] }", "spec.rules[0].when[0].key"],
    ["a condition without values", "{ rules: [{ when: [{ key: source.ip }] }] }", "spec.rules[0].when[0].values"],
    ["a key that is none", "{ rules: [{ when: [{ key: source.uid, values: [a] }] }] }", "spec.rules[0].when[0].key"],
    [
      "a key without its brackets",
      "{ rules: [{ when: [{ key: request.headers, values: [a] }] }] }",
      "spec.rules[0].when[0].key",
    ],
    [
      "an attribute that Istio replaced",
      "{ rules: [{ when: [{ key: destination.namespace, values: [a] }] }] }",
      "spec.rules[0].when[0].key",
    ],
    [
      "an address that is none",
      "{ rules: [{ from: [{ source: { ipBlocks: [1.2.3] } }] }] }",
      "spec.rules[0].from[0].source.ipBlocks[0]",
    ],
    [
      "a port that is none",
      "{ rules: [{ to: [{ operation: { ports: [http] } }] }] }",
      "spec.rules[0].to[0].operation.ports[0]",
    ],
    [
      "a port that is too high",
      '{ rules: [{ to: [{ operation: { notPorts: ["65536"] } }] }] }',
      "spec.rules[0].to[0].operation.notPorts[0]",
    ],
    [
      "a named variable in a path",
      '{ rules: [{ to: [{ operation: { paths: ["/{*}/{id}"] } }] }] }',
      "spec.rules[0].to[0].operation.paths[0]",
    ],
    [
      "service accounts beside namespaces",
      "{ rules: [{ from: [{ source: { serviceAccounts: [a], namespaces: [b] } }] }] }",
      "spec.rules[0].from[0].source",
    ],
    ["a provider that nobody asks", "{ provider: { name: opa }, rules: [{}] }", "spec.provider"],
    ["CUSTOM without provider", "{ action: CUSTOM, rules: [{}] }", "spec.provider.name"],
    ["CUSTOM without rules", "{ action: CUSTOM, provider: { name: opa } }", "spec.rules"],
    [
      "CUSTOM by identity",
      "{ action: CUSTOM, provider: { name: opa }, rules: [{ from: [{ source: { principals: [a] } }] }] }",
      "spec.rules[0].from[0].source.principals",
    ],
    [
      "CUSTOM by token",
      "{ action: CUSTOM, provider: { name: opa }, rules: [{ when: [{ key: request.auth.principal, values: [a] }] }] }",
      "spec.rules[0].when[0].key",
    ],
    ["a label with a star", '{ selector: { matchLabels: { app: "a*" } } }', "spec.selector.matchLabels.app"],
    [
      "selector and targets",
      "{ selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: b }] }",
      "spec.targetRefs",
    ],
    [
      "a target of another namespace",
      "{ targetRefs: [{ kind: Service, name: b, namespace: other }] }",
      "spec.targetRefs[0].namespace",
    ],
    [
      "a target of another kind",
      "{ targetRefs: [{ group: apps, kind: Deployment, name: b }] }",
      "spec.targetRefs[0].kind",
    ],
    [
      "a service outside the mesh",
      "{ targetRefs: [{ group: networking.istio.io, kind: ServiceEntry, name: b }] }",
      "spec.targetRefs[0].kind",
    ],
    [
      "a waypoint",
      "{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: waypoint }] }",
      "spec.targetRefs[0].name",
    ],
  ])("is refused with %s, and what is then open is said", (_name, spec, path) => {
    const { policies, refused, told } = translated(policy(spec));
    expect(policies).toEqual([]);
    expect(refused).toContain(path);
    expect(told.at(-1)).toContain(WARNED);
  });

  test("tells whom a refused document leaves unguarded", () => {
    expect(translated(policy("{ action: DENY }")).told.at(-1)).toBe(
      "refused spec: nothing of this DENY is in force: calls that it would stop are not stopped by it",
    );
    expect(translated(policy("{ rules: [~] }")).told.at(-1)).toBe(
      "refused spec: nothing of this ALLOW is in force: where no other ALLOW selects a service, everybody may call it",
    );
  });
});

describe("whom an AuthorizationPolicy is for", () => {
  const target = (refs: string, meta?: string) => translated(policy(`{ targetRefs: [${refs}], rules: [{}] }`, meta));

  test("a Service is selected by its name, several by one policy each", () => {
    expect(target("{ kind: Service, name: b }").policies).toMatchObject([{ name: "a", selector: { service: "b" } }]);
    expect(target('{ kind: Service, name: b }, { group: "", kind: Service, name: c }').policies).toMatchObject([
      { name: "a-b", selector: { service: "b" } },
      { name: "a-c", selector: { service: "c" } },
    ]);
  });

  test("the one target of older documents is read too", () => {
    const { policies } = translated(policy("{ targetRef: { kind: Service, name: b }, rules: [{}] }"));
    expect(policies).toMatchObject([{ selector: { service: "b" } }]);
  });

  test("a gateway has no meaning, and gives no policy", () => {
    const { policies, told } = target("{ group: gateway.networking.k8s.io, kind: Gateway, name: in }");
    expect(policies).toEqual([]);
    expect(told).toEqual(["no-meaning spec.targetRefs[0].kind: calls inside the mesh pass no gateway"]);
  });

  test("a Service in the root namespace is refused, for it would be one of every namespace", () => {
    const { refused } = target("{ kind: Service, name: b }", "{ name: a, namespace: istio-system }");
    expect(refused).toContain("spec.targetRefs[0].name");
  });

  test("the class of waypoints in the root namespace is every service", () => {
    const ref = "{ group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint }";
    const { policies } = target(ref, "{ name: a, namespace: istio-system }");
    expect(policies).toEqual([{ kind: "Access", name: "a", namespace: "istio-system", action: "allow", rules: [{}] }]);
    expect(target(ref).policies).toEqual([]);
  });
});

describe("what no call here can have", () => {
  const envoy = '{ key: "experimental.envoy.filters.a.b[c]", values: [d] }';

  it.each([
    ["an ALLOW", "ALLOW", { action: "allow" }],
    ["a DENY", "DENY", { action: "deny", rules: [{ from: [{ namespaces: ["b"] }] }] }],
  ])("lets nobody further: an attribute of Envoy's filters in %s", (_name, action, fields) => {
    const { policies, told } = translated(
      policy(`{ action: ${action}, rules: [{ from: [{ source: { namespaces: [b] } }], when: [${envoy}] }] }`),
    );
    expect(policies).toEqual([{ kind: "Access", name: "a", namespace: "default", ...fields }]);
    expect(told[0]).toMatch(/^no-meaning spec.rules\[0\].when\[0\].key: /);
  });

  it.each([
    ["ALLOW", "methods: [get]", { action: "allow" }],
    ["ALLOW", "methods: [get, PUT]", { action: "allow", rules: [{ to: [{ methods: ["PUT"] }] }] }],
    ["ALLOW", "notMethods: [get]", { action: "allow", rules: [{ to: [{ notMethods: ["GET"] }] }] }],
    ["DENY", "methods: [get]", { action: "deny", rules: [{ to: [{ methods: ["GET"] }] }] }],
    ["DENY", "notMethods: [get, PUT]", { action: "deny", rules: [{ to: [{ notMethods: ["PUT"] }] }] }],
  ])("lets nobody further: %s %s", (action, operation, fields) => {
    const { policies, told } = translated(
      policy(`{ action: ${action}, rules: [{ to: [{ operation: { ${operation} } }] }] }`),
    );
    expect(policies).toEqual([{ kind: "Access", name: "a", namespace: "default", ...fields }]);
    expect(told[0]).toMatch(/^warning /);
  });
});

describe("the annotation for dry runs", () => {
  const annotated = (value: string, spec: string) =>
    translated(policy(spec, `{ name: a, annotations: { istio.io/dry-run: ${value} } }`));

  test("makes a policy report only", () => {
    expect(annotated('"true"', "{ action: DENY, rules: [{}] }").policies).toMatchObject([{ mode: "dry-run" }]);
    expect(annotated('"false"', "{}").policies[0]).not.toHaveProperty("mode");
  });

  it.each([
    ["a value that is no answer", '"maybe"', "{}"],
    ["a value that is no text", "true", "{}"],
    ["AUDIT", '"true"', "{ action: AUDIT, rules: [{}] }"],
    ["CUSTOM", '"true"', "{ action: CUSTOM, provider: { name: opa }, rules: [{}] }"],
  ])("is refused with %s", (_name, value, spec) => {
    expect(annotated(value, spec)).toMatchObject({ policies: [], refused: ["spec.action", "spec"] });
  });
});

describe("who is asked by CUSTOM", () => {
  const custom = policy("{ action: CUSTOM, provider: { name: opa }, rules: [{}] }");
  const mesh = (provider: string): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio, namespace: istio-system }\ndata:\n  mesh: |\n    extensionProviders:\n    - ${provider}`;

  test("is an authorizer by its name, whoever defines it", () => {
    expect(translated(custom).policies).toMatchObject([{ action: "custom", authorizer: "opa" }]);
  });

  test("comes from the mesh's configuration", () => {
    const { policies, refused } = translated(
      `${custom}\n---\n${mesh("{ name: opa, envoyExtAuthzHttp: { service: opa.security.svc.cluster.local, port: 8181 } }")}`,
    );
    expect(refused).toEqual([]);
    expect(policies).toEqual([
      { kind: "Access", name: "a", namespace: "default", action: "custom", authorizer: "opa", rules: [{}] },
      {
        kind: "Mesh",
        name: "mesh",
        authorizers: { opa: { url: "http://opa.security.svc.cluster.local:8181", timeout: "1m" } },
      },
    ]);
  });

  it.each([
    ["nobody of this name is in the configuration", "{ name: other, prometheus: {} }", "has no extension provider"],
    [
      "it is asked over gRPC",
      "{ name: opa, envoyExtAuthzGrpc: { service: opa.security.svc, port: 9191 } }",
      "over gRPC",
    ],
    [
      "it decides by bodies",
      "{ name: opa, envoyExtAuthzHttp: { service: opa.security.svc, port: 9191, includeRequestBodyInCheck: { maxRequestBytes: 10 } } }",
      "by the body",
    ],
  ])("is refused where %s", (_name, provider, message) => {
    const { policies, told } = translated(`${custom}\n---\n${mesh(provider)}`);
    expect(policies).toEqual([]);
    expect(told.find((each) => each.startsWith("refused spec.provider.name"))).toContain(message);
  });
});
