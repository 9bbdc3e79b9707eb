import { type FieldFate, ignored, type Message, message, noMeaning, to } from "../message.ts";

const telemetry = noMeaning("calls are told through the OpenTelemetry SDK of each process");
const gateways = noMeaning("calls inside the mesh pass no gateway");
const proxies = noMeaning("there are no proxies");
const kubernetes = noMeaning("who is in the mesh says so when it joins");
const ports: FieldFate = noMeaning("nothing is captured: applications call through the mesh themselves");

/** Istio's MeshConfig. */
export const meshConfigMessage: Message<
  | "proxyListenPort"
  | "proxyInboundListenPort"
  | "proxyHttpPort"
  | "connectTimeout"
  | "protocolDetectionTimeout"
  | "tcpKeepalive"
  | "ingressClass"
  | "ingressService"
  | "ingressControllerMode"
  | "ingressSelector"
  | "enableTracing"
  | "accessLogFile"
  | "accessLogFormat"
  | "accessLogEncoding"
  | "enableEnvoyAccessLogService"
  | "disableEnvoyListenerLog"
  | "defaultConfig"
  | "outboundTrafficPolicy"
  | "inboundTrafficPolicy"
  | "configSources"
  | "enableAutoMtls"
  | "trustDomain"
  | "trustDomainAliases"
  | "caCertificates"
  | "defaultServiceExportTo"
  | "defaultVirtualServiceExportTo"
  | "defaultDestinationRuleExportTo"
  | "rootNamespace"
  | "localityLbSetting"
  | "dnsRefreshRate"
  | "h2UpgradePolicy"
  | "inboundClusterStatName"
  | "outboundClusterStatName"
  | "certificates"
  | "serviceSettings"
  | "serviceScopeConfigs"
  | "enablePrometheusMerge"
  | "verifyCertificateAtClient"
  | "ca"
  | "extensionProviders"
  | "defaultProviders"
  | "discoverySelectors"
  | "pathNormalization"
  | "defaultHttpRetryPolicy"
  | "meshMTLS"
  | "tlsDefaults"
  | "hboneIdleTimeout"
  | "compliancePolicy"
> = message("MeshConfig", {
  proxyListenPort: ports,
  proxyInboundListenPort: ports,
  proxyHttpPort: ports,
  connectTimeout: to("Mesh.defaults.connectTimeout"),
  protocolDetectionTimeout: noMeaning("what is spoken is never guessed"),
  tcpKeepalive: noMeaning("idle connections are ended, not kept alive"),
  ingressClass: gateways,
  ingressService: gateways,
  ingressControllerMode: gateways,
  ingressSelector: gateways,
  enableTracing: telemetry,
  accessLogFile: telemetry,
  accessLogFormat: telemetry,
  accessLogEncoding: telemetry,
  enableEnvoyAccessLogService: telemetry,
  disableEnvoyListenerLog: telemetry,
  defaultConfig: proxies,
  outboundTrafficPolicy: to("Mesh.outbound"),
  inboundTrafficPolicy: ports,
  configSources: noMeaning("policies are applied to the config-server"),
  enableAutoMtls: noMeaning("a caller speaks mTLS wherever the endpoint does"),
  trustDomain: to("Mesh.trustDomain"),
  trustDomainAliases: to("Mesh.trustDomainAliases"),
  caCertificates: noMeaning("the config-server is given its roots, and nobody is believed for another one"),
  defaultServiceExportTo: to("nothing where it is `*`, and refused else"),
  defaultVirtualServiceExportTo: to("nothing where it is `*`, and refused else"),
  defaultDestinationRuleExportTo: to("nothing where it is `*`, and refused else"),
  rootNamespace: to("Mesh.rootNamespace"),
  localityLbSetting: noMeaning("localities are preferred by services that ask for it: Service.locality"),
  dnsRefreshRate: noMeaning("names are looked up again when their records end"),
  h2UpgradePolicy: noMeaning("services say themselves what they speak: Service.protocol"),
  inboundClusterStatName: telemetry,
  outboundClusterStatName: telemetry,
  certificates: noMeaning("certificates of members come from the config-server"),
  serviceSettings: noMeaning("a mesh is of one cluster"),
  serviceScopeConfigs: noMeaning("a mesh is of one cluster"),
  enablePrometheusMerge: telemetry,
  verifyCertificateAtClient: noMeaning("certificates are always checked"),
  ca: noMeaning("certificates of members come from the config-server"),
  extensionProviders: to("Mesh.authorizers"),
  defaultProviders: telemetry,
  discoverySelectors: kubernetes,
  pathNormalization: to("Mesh.pathNormalization"),
  defaultHttpRetryPolicy: to("Mesh.defaults.retry"),
  meshMTLS: noMeaning("members speak TLS 1.3 with one another"),
  tlsDefaults: noMeaning("calls to the outside speak what Node's TLS allows"),
  hboneIdleTimeout: proxies,
  compliancePolicy: to("nothing where it is empty, and refused else"),
});

/** Istio's OutboundTrafficPolicy of the mesh's configuration. */
export const meshOutboundMessage: Message<"mode"> = message("MeshConfig.OutboundTrafficPolicy", {
  mode: to("Mesh.outbound"),
});

/** Istio's ProxyPathNormalization. */
export const pathNormalizationMessage: Message<"normalization"> = message("MeshConfig.ProxyPathNormalization", {
  normalization: to("Mesh.pathNormalization"),
});

/** The ConfigMap that holds the mesh's configuration. */
export const meshConfigMapMessage: Message<"apiVersion" | "kind" | "metadata" | "data"> = message(
  "ConfigMap",
  {
    apiVersion: to("the kind of document"),
    kind: to("the kind of document"),
    metadata: to("whether it is the mesh's configuration"),
    data: to("Mesh"),
  },
  "ignored",
);

/** The data of that ConfigMap. */
export const meshConfigDataMessage: Message<"mesh" | "meshNetworks"> = message(
  "ConfigMapData",
  { mesh: to("Mesh"), meshNetworks: ignored("a mesh is of one network") },
  "ignored",
);

/** Istio's IstioOperator, of which the mesh's configuration alone is about policy. */
export const operatorMessage: Message<"apiVersion" | "kind" | "metadata" | "spec"> = message(
  "IstioOperator",
  {
    apiVersion: to("the kind of document"),
    kind: to("the kind of document"),
    metadata: ignored("there is one mesh"),
    spec: to("Mesh"),
  },
  "ignored",
);

/** Istio's IstioOperatorSpec. */
export const operatorSpecMessage: Message<"meshConfig"> = message(
  "IstioOperatorSpec",
  { meshConfig: to("Mesh") },
  "ignored",
);
