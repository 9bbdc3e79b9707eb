import type { ClaimToHeader, JwtHeader, JwtRule } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { refuseNulls } from "./policy-target.ts";

/** Istio's JWTRule. */
export const jwtRuleMessage: Message<
  | "issuer"
  | "audiences"
  | "jwksUri"
  | "jwks_uri"
  | "jwks"
  | "fromHeaders"
  | "fromParams"
  | "fromCookies"
  | "outputPayloadToHeader"
  | "forwardOriginalToken"
  | "outputClaimToHeaders"
  | "timeout"
  | "spaceDelimitedClaims"
  | "presence"
> = message("JWTRule", {
  issuer: to("jwt[].issuer"),
  audiences: to("jwt[].audiences"),
  jwksUri: to("jwt[].jwksUri"),
  jwks_uri: to("jwt[].jwksUri"),
  jwks: to("jwt[].jwks"),
  fromHeaders: to("jwt[].fromHeaders"),
  fromParams: to("jwt[].fromParams"),
  fromCookies: to("jwt[].fromCookies"),
  outputPayloadToHeader: to("jwt[].outputPayloadToHeader"),
  forwardOriginalToken: to("jwt[].forwardOriginalToken"),
  outputClaimToHeaders: to("jwt[].outputClaimToHeaders"),
  timeout: to("jwt[].timeout"),
  spaceDelimitedClaims: to("jwt[].spaceDelimitedClaims"),
  presence: to("jwt[].presence"),
});

/** Istio's JWTHeader. */
export const jwtHeaderMessage: Message<"name" | "prefix"> = message("JWTHeader", {
  name: to("fromHeaders[].name"),
  prefix: to("fromHeaders[].prefix"),
});

/** Istio's ClaimToHeader. */
export const claimToHeaderMessage: Message<"header" | "claim"> = message("ClaimToHeader", {
  header: to("outputClaimToHeaders[].header"),
  claim: to("outputClaimToHeaders[].claim"),
});

/** Reads which tokens are believed. */
export const readJwtRule = (fields: FieldsOf<typeof jwtRuleMessage>): JwtRule => {
  const issuer = fields.text("issuer") || undefined;
  const jwksUri = fields.text("jwksUri") || fields.text("jwks_uri") || undefined;
  const jwks = fields.text("jwks") || undefined;
  if (issuer === undefined && jwksUri === undefined) {
    fields.refuse("issuer", "issuer or jwksUri is needed: nobody could tell which keys are good");
  }
  if (fields.has("jwksUri") && fields.has("jwks_uri")) fields.refuse("jwks_uri", "jwksUri is set too: keep one");
  if (jwks !== undefined && jwksUri !== undefined) {
    fields.warn("jwksUri", "jwks is set too, and its keys are the ones that count");
  }
  if (jwks !== undefined && fields.has("timeout")) {
    fields.tellNoMeaning("timeout", "nothing is fetched where the keys are in the document");
  }
  const timeout = fields.duration("timeout");
  const outputPayloadToHeader = fields.text("outputPayloadToHeader") || undefined;
  const presence = fields.oneOf("presence", ["OPTIONAL", "REQUIRED"]);
  const forwardOriginalToken = fields.flag("forwardOriginalToken");
  const fromHeaders = readHeaders(fields);
  const outputClaimToHeaders = readClaims(fields);
  return {
    ...(issuer === undefined ? {} : { issuer }),
    ...listOf(fields, "audiences"),
    ...(jwks === undefined ? {} : { jwks: asKeySet(jwks) }),
    ...(jwks === undefined && jwksUri !== undefined ? { jwksUri } : {}),
    ...(fromHeaders.length === 0 ? {} : { fromHeaders }),
    ...listOf(fields, "fromParams"),
    ...listOf(fields, "fromCookies"),
    ...(presence === undefined ? {} : { presence: presence === "REQUIRED" ? "required" : "optional" }),
    ...(forwardOriginalToken === undefined ? {} : { forwardOriginalToken }),
    ...(outputPayloadToHeader === undefined ? {} : { outputPayloadToHeader }),
    ...(outputClaimToHeaders.length === 0 ? {} : { outputClaimToHeaders }),
    ...listOf(fields, "spaceDelimitedClaims"),
    ...(jwks === undefined && timeout !== undefined ? { timeout } : {}),
  };
};

type ListName = "audiences" | "fromParams" | "fromCookies" | "spaceDelimitedClaims";

/** An empty list says as much as none. */
const listOf = <N extends ListName>(
  fields: FieldsOf<typeof jwtRuleMessage>,
  name: N,
): { readonly [K in N]?: readonly string[] } => {
  const values = fields.texts(name) ?? [];
  // The one field that was asked for.
  return (values.length === 0 ? {} : { [name]: values }) as { readonly [K in N]?: readonly string[] };
};

const readHeaders = (fields: FieldsOf<typeof jwtRuleMessage>): readonly JwtHeader[] => {
  refuseNulls(fields, "fromHeaders");
  return (fields.messages("fromHeaders", jwtHeaderMessage) ?? []).map((header) => {
    const name = header.text("name") ?? "";
    const prefix = header.text("prefix");
    if (name === "") header.refuse("name", "a header needs a name");
    return { name, ...(prefix === undefined ? {} : { prefix }) };
  });
};

const readClaims = (fields: FieldsOf<typeof jwtRuleMessage>): readonly ClaimToHeader[] => {
  refuseNulls(fields, "outputClaimToHeaders");
  return (fields.messages("outputClaimToHeaders", claimToHeaderMessage) ?? []).map((item) => {
    const [header, claim] = [item.text("header") ?? "", item.text("claim") ?? ""];
    if (header === "") item.refuse("header", "a header needs a name");
    if (claim === "") item.refuse("claim", "a claim needs a name");
    return { header, claim };
  });
};

/** Istio takes a single key too. */
const asKeySet = (text: string): string => {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null && "kty" in read ? JSON.stringify({ keys: [read] }) : text;
  } catch {
    return text;
  }
};
