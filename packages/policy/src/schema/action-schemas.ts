import { z } from "zod";
import type { Cors } from "../cors-policy.ts";
import { type DirectResponse, MAX_DIRECT_RESPONSE_BYTES } from "../direct-response-policy.ts";
import {
  durationLimits,
  numberLimits,
  wrongAuthority,
  wrongHeaderName,
  wrongHost,
  wrongMethod,
} from "../field-limits.ts";
import type { HeaderChanges } from "../header-changes-policy.ts";
import type { RegexSubstitution } from "../path-replacement.ts";
import { REDIRECT_STATUSES, type Redirect } from "../redirect-policy.ts";
import type { HostRewrite, Rewrite } from "../rewrite-policy.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, list, number, optional, record, text, texts } from "./fields.ts";
import { stringMatchSchema } from "./match-schema.ts";

const flag = (description: string): z.ZodBoolean => z.boolean().meta({ description });

const substitutionSchema = exactly<RegexSubstitution>()(
  z
    .strictObject({
      pattern: anyText("RE2 syntax, found anywhere in the path."),
      substitution: anyText("\\1 to \\9 stand for groups, \\0 for all that was found."),
    })
    .meta({ description: "What is put in the place of a pattern, everywhere in the path." }),
);

const pathReplacement = {
  path: optional(anyText("Stands for the whole path.")),
  prefix: optional(anyText("Stands for the prefix that the call met.")),
  regex: optional(substitutionSchema),
};

const hostRewrite = {
  host: optional(text(wrongAuthority, "What is sent as Host, with a port where one is meant.")),
};

/** Answering with a redirect. */
export const redirectSchema: z.ZodType<Redirect> = exactly<Redirect>()(
  z
    .strictObject({
      ...pathReplacement,
      scheme: optional(z.enum(["http", "https"]).meta({ description: "Default the call's." })),
      host: optional(text(wrongHost, "Without port. Default the call's.")),
      port: optional(
        z
          .union([number(numberLimits.port, "A port."), z.literal("request")])
          .meta({ description: "A port, or request for the one that was called. Default what host and scheme imply." }),
      ),
      stripQuery: optional(flag("Leaves the query out. Default false.")),
      status: optional(z.literal([...REDIRECT_STATUSES]).meta({ description: "Default 301." })),
    })
    .meta({ description: "Answer with a redirect." }),
);

/** Answering without calling. */
export const directResponseSchema: z.ZodType<DirectResponse> = exactly<DirectResponse>()(
  z
    .strictObject({
      status: number(numberLimits.directStatus, "What is answered."),
      body: optional(anyText(`Text, at most ${MAX_DIRECT_RESPONSE_BYTES} bytes of UTF-8.`)),
      headers: optional(record(z.string(), "Values by name. Default content-type: text/plain where there is a body.")),
    })
    .meta({ description: "Answer without calling." }),
);

/** Sending another path or host. */
export const rewriteSchema: z.ZodType<Rewrite> = exactly<Rewrite>()(
  z
    .strictObject({
      ...pathReplacement,
      ...hostRewrite,
      autoHost: optional(flag("Sends the name of the service that answers. Default false.")),
    })
    .meta({ description: "Send another path or host." }),
);

/** Sending another host to one destination. */
export const hostRewriteSchema: z.ZodType<HostRewrite> = exactly<HostRewrite>()(
  z.strictObject(hostRewrite).meta({ description: "Send another host to this destination; the rule's wins." }),
);

/** Changing headers. */
export const headerChangesSchema = (description: string): z.ZodType<HeaderChanges> =>
  exactly<HeaderChanges>()(
    z
      .strictObject({
        remove: optional(list(z.string(), "Names of headers that are taken out first.")),
        set: optional(record(z.string(), "Values by name, in the place of all that was there.")),
        add: optional(record(z.string(), "Values by name, beside what was there.")),
      })
      .meta({ description }),
  );

/** Answering browsers of other origins. */
export const corsSchema: z.ZodType<Cors> = exactly<Cors>()(
  z
    .strictObject({
      allowOrigins: list(stringMatchSchema, 'Origins that may call; { exact: "*" } is every origin.'),
      allowMethods: optional(texts(wrongMethod, "Told to preflights.")),
      allowHeaders: optional(texts(wrongHeaderName, "Told to preflights.")),
      exposeHeaders: optional(texts(wrongHeaderName, "Headers of replies that pages may read.")),
      maxAge: optional(duration(durationLimits.corsMaxAge, "How long a preflight's answer may be remembered.")),
      allowCredentials: optional(flag("Whether cookies and credentials may be sent. Default false.")),
      unmatchedPreflights: optional(
        z
          .enum(["forward", "ignore"])
          .meta({ description: 'What becomes of preflights of other origins. Default "forward".' }),
      ),
    })
    .meta({ description: "Answer browsers of other origins." }),
);
