import type { AuthorizerPolicy, Duration } from "@tulle/policy";
import { tryParseDuration } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { whyNoHost } from "./hosts.ts";

const telemetry = noMeaning("telemetry leaves through the OpenTelemetry SDK of each process");

/** Istio's ExtensionProvider of the mesh's configuration. */
export const extensionProviderMessage: Message<
  | "name"
  | "envoyExtAuthzHttp"
  | "envoyExtAuthzGrpc"
  | "zipkin"
  | "lightstep"
  | "datadog"
  | "stackdriver"
  | "opencensus"
  | "skywalking"
  | "opentelemetry"
  | "prometheus"
  | "envoyFileAccessLog"
  | "envoyHttpAls"
  | "envoyTcpAls"
  | "envoyOtelAls"
> = message("ExtensionProvider", {
  name: to("the key in Mesh.authorizers"),
  envoyExtAuthzHttp: to("Mesh.authorizers"),
  envoyExtAuthzGrpc: noMeaning(
    "authorizers are asked over HTTP: an AuthorizationPolicy that names this one is refused",
  ),
  zipkin: telemetry,
  lightstep: telemetry,
  datadog: telemetry,
  stackdriver: telemetry,
  opencensus: telemetry,
  skywalking: telemetry,
  opentelemetry: telemetry,
  prometheus: telemetry,
  envoyFileAccessLog: telemetry,
  envoyHttpAls: telemetry,
  envoyTcpAls: telemetry,
  envoyOtelAls: telemetry,
});

/** Istio's EnvoyExternalAuthorizationHttpProvider. */
export const httpAuthorizerMessage: Message<
  | "service"
  | "port"
  | "timeout"
  | "pathPrefix"
  | "failOpen"
  | "clearRouteCache"
  | "statusOnError"
  | "includeHeadersInCheck"
  | "includeRequestHeadersInCheck"
  | "includeAdditionalHeadersInCheck"
  | "includeRequestBodyInCheck"
  | "headersToUpstreamOnAllow"
  | "headersToDownstreamOnAllow"
  | "headersToDownstreamOnDeny"
> = message("EnvoyExternalAuthorizationHttpProvider", {
  service: to("authorizers.url"),
  port: to("authorizers.url"),
  timeout: to("authorizers.timeout"),
  pathPrefix: to("authorizers.pathPrefix"),
  failOpen: to("authorizers.failOpen"),
  clearRouteCache: noMeaning("the route is found by the caller, before anybody is asked"),
  statusOnError: to("authorizers.statusOnError"),
  includeHeadersInCheck: to("authorizers.includeRequestHeaders"),
  includeRequestHeadersInCheck: to("authorizers.includeRequestHeaders"),
  includeAdditionalHeadersInCheck: to("authorizers.includeAdditionalHeaders"),
  includeRequestBodyInCheck: noMeaning(
    "authorizers are asked without the body: an AuthorizationPolicy that names this one is refused",
  ),
  headersToUpstreamOnAllow: to("authorizers.headersToUpstreamOnAllow"),
  headersToDownstreamOnAllow: noMeaning("callers whose calls pass are told the service's headers alone"),
  headersToDownstreamOnDeny: to("authorizers.headersToDownstreamOnDeny"),
});

/** What a provider became: somebody who can be asked, somebody who cannot and why, or nobody who decides anything. */
export type ReadProvider =
  | { readonly name: string; readonly authorizer: AuthorizerPolicy }
  | { readonly name: string; readonly unusable: string };

const providers = Object.keys(extensionProviderMessage.fields).filter(
  (name): name is keyof typeof extensionProviderMessage.fields => name !== "name",
);

/** Reads a provider; `undefined` for one that is about telemetry. */
export const readExtensionProvider = (fields: FieldsOf<typeof extensionProviderMessage>): ReadProvider | undefined => {
  const name = fields.text("name") ?? "";
  if (name === "") fields.refuse("name", "a provider needs a name");
  const set = providers.filter((each) => fields.has(each));
  if (set.length !== 1) fields.refuse("name", "a provider is of exactly one kind");
  if (fields.has("envoyExtAuthzGrpc")) {
    return {
      name,
      unusable: "it is asked over gRPC, and authorizers are asked over HTTP: give it an envoyExtAuthzHttp",
    };
  }
  const http = fields.message("envoyExtAuthzHttp", httpAuthorizerMessage);
  if (http === undefined) return undefined;
  const authorizer = readHttpAuthorizer(http);
  if (!/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
    fields.tellNoMeaning(
      "name",
      `"${name}" is no name of an authorizer: an AuthorizationPolicy that names it is refused`,
    );
    return { name, unusable: 'its name is none of an authorizer: write a-z, 0-9 and "-"' };
  }
  if (http.has("includeRequestBodyInCheck")) {
    return { name, unusable: "it decides by the body of requests, which authorizers are not sent" };
  }
  return { name, authorizer };
};

/** Istio waits for ten minutes; no policy waits longer than one. */
const LONGEST: Duration = "1m";
const MAX_PORT = 65_535;

const readHttpAuthorizer = (fields: FieldsOf<typeof httpAuthorizerMessage>): AuthorizerPolicy => {
  const service = fields.text("service") ?? "";
  const host = service.slice(service.lastIndexOf("/") + 1);
  const wrong =
    service.split("/").length > 2 ? `"${service}" has too many slashes` : whyNoHost(host, { wildcard: false });
  if (wrong !== undefined) fields.refuse("service", wrong);
  const port = fields.integer("port") ?? 0;
  if (port < 1 || port > MAX_PORT) fields.refuse("port", `a port is a number from 1 to ${MAX_PORT}`);
  const pathPrefix = fields.text("pathPrefix") || undefined;
  const failOpen = fields.flag("failOpen");
  const status = fields.text("statusOnError") || undefined;
  const statusOnError = status === undefined ? undefined : Number(status);
  if (statusOnError !== undefined && !Number.isInteger(statusOnError)) {
    fields.refuse("statusOnError", `"${status}" is no status`);
  }
  const includeRequestHeaders = [
    ...(fields.texts("includeRequestHeadersInCheck") ?? []),
    ...(fields.texts("includeHeadersInCheck") ?? []),
  ];
  const additional = fields.textMap("includeAdditionalHeadersInCheck") ?? {};
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ...(pathPrefix === undefined ? {} : { pathPrefix }),
    timeout: readTimeout(fields),
    ...(failOpen === undefined ? {} : { failOpen }),
    ...(statusOnError === undefined ? {} : { statusOnError }),
    ...(includeRequestHeaders.length === 0 ? {} : { includeRequestHeaders }),
    ...(Object.keys(additional).length === 0 ? {} : { includeAdditionalHeaders: additional }),
    ...headers(fields, "headersToUpstreamOnAllow"),
    ...headers(fields, "headersToDownstreamOnDeny"),
  };
};

const readTimeout = (fields: FieldsOf<typeof httpAuthorizerMessage>): Duration => {
  const timeout = fields.duration("timeout");
  if (timeout === undefined) return LONGEST;
  const longest = tryParseDuration(LONGEST) ?? 0;
  if ((tryParseDuration(timeout) ?? 0) <= longest) return timeout;
  fields.warn("timeout", `authorizers are waited for no longer than ${LONGEST}`);
  return LONGEST;
};

type HeaderList = "headersToUpstreamOnAllow" | "headersToDownstreamOnDeny";

const headers = <N extends HeaderList>(
  fields: FieldsOf<typeof httpAuthorizerMessage>,
  name: N,
): { readonly [K in N]?: readonly string[] } => {
  const names = fields.texts(name) ?? [];
  // The one field that was asked for.
  return (names.length === 0 ? {} : { [name]: names }) as { readonly [K in N]?: readonly string[] };
};
