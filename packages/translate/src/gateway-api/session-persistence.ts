import type { SessionAffinity } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { boundedDuration, gatewayDuration } from "./gateway-duration.ts";

/** The Gateway API's SessionPersistence. */
export const sessionPersistenceMessage: Message<
  "sessionName" | "absoluteTimeout" | "idleTimeout" | "type" | "cookieConfig"
> = message("SessionPersistence", {
  sessionName: to("sessionAffinity.cookie.name, sessionAffinity.header"),
  absoluteTimeout: to("sessionAffinity.ttl"),
  idleTimeout: noMeaning("a session's age is told by its cookie alone, and nobody counts its pauses"),
  type: to("sessionAffinity.cookie or sessionAffinity.header"),
  cookieConfig: to("sessionAffinity.ttl"),
});

/** The Gateway API's CookieConfig. */
export const cookieConfigMessage: Message<"lifetimeType"> = message("CookieConfig", {
  lifetimeType: to("sessionAffinity.ttl"),
});

/** Reads how sessions stay with the endpoint that answered. */
export const readSessionPersistence = (
  fields: FieldsOf<typeof sessionPersistenceMessage> | undefined,
): SessionAffinity | undefined => {
  if (fields === undefined) return undefined;
  const type = fields.oneOf("type", ["Cookie", "Header"]) ?? "Cookie";
  const name = fields.text("sessionName");
  const ttl = boundedDuration(fields, "absoluteTimeout", "sessionTtl");
  gatewayDuration(fields, "idleTimeout");
  if (name !== undefined && !/^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,128}$/.test(name)) {
    fields.refuse("sessionName", `"${name}" is no name of a cookie or a header`);
  }
  const cookieConfig = fields.message("cookieConfig", cookieConfigMessage);
  const lifetime = cookieConfig?.oneOf("lifetimeType", ["Permanent", "Session"]);
  if (lifetime === "Permanent" && ttl === undefined) {
    fields.refuse("absoluteTimeout", "a permanent cookie needs an absoluteTimeout");
  }
  if (type === "Header" && cookieConfig !== undefined) fields.refuse("cookieConfig", "the session is told by a header");
  if (type === "Cookie" && ttl !== undefined && lifetime !== "Permanent") {
    fields.warn("absoluteTimeout", "the cookie tells it to browsers, which then keep the cookie when they end");
  }
  const limit = ttl === undefined ? {} : { ttl };
  if (type === "Header") return { header: name ?? "tulle-session-id", ...limit, endpoint: {} };
  return { cookie: name === undefined ? {} : { name }, ...limit, endpoint: {} };
};
