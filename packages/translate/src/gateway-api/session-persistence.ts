import type { SessionAffinity } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";

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
  const ttl = fields.duration("absoluteTimeout");
  const cookieConfig = fields.message("cookieConfig", cookieConfigMessage);
  const lifetime = cookieConfig?.oneOf("lifetimeType", ["Permanent", "Session"]);
  if (lifetime === "Permanent" && ttl === undefined) {
    fields.refuse("absoluteTimeout", "a permanent cookie needs an absoluteTimeout");
  }
  if (type === "Header" && cookieConfig !== undefined) fields.refuse("cookieConfig", "the session is told by a header");
  // Without `Permanent` a browser forgets the cookie when it ends, and a limit would say otherwise.
  const limit = ttl === undefined || (type === "Cookie" && lifetime !== "Permanent") ? {} : { ttl };
  if (type === "Header") return { header: name ?? "tulle-session-id", ...limit, endpoint: {} };
  return { cookie: name === undefined ? {} : { name }, ...limit, endpoint: {} };
};
