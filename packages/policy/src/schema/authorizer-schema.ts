import { z } from "zod";
import {
  type AuthorizerPolicy,
  wrongAuthorizerUrl,
  wrongHeaderPattern,
  wrongPathPrefix,
} from "../authorizer-policy.ts";
import { durationLimits, numberLimits } from "../field-limits.ts";
import { exactly } from "./exactly.ts";
import { anyText, duration, number, optional, record, text, texts } from "./fields.ts";

/** The schema of an authorizer. */
export const authorizerSchema: z.ZodType<AuthorizerPolicy> = exactly<AuthorizerPolicy>()(
  z
    .strictObject({
      url: text(wrongAuthorizerUrl, "Where it listens, such as http://opa.security:8181."),
      pathPrefix: optional(text(wrongPathPrefix, "Stands before the call's own path. Default none.")),
      timeout: optional(duration(durationLimits.authorizerTimeout, 'For the whole answer. Default "200ms".')),
      failOpen: optional(
        z.boolean().meta({ description: "Whether calls pass that it could not be asked about. Default false." }),
      ),
      statusOnError: optional(
        number(numberLimits.status, "What calls are answered that it could not be asked about. Default 403."),
      ),
      includeRequestHeaders: optional(texts(wrongHeaderPattern, "Headers of the call that it is sent.")),
      includeAdditionalHeaders: optional(record(anyText(""), "Headers that it is sent besides.")),
      headersToUpstreamOnAllow: optional(
        texts(wrongHeaderPattern, "Headers of its answer that the call is given when it may pass."),
      ),
      headersToDownstreamOnDeny: optional(
        texts(wrongHeaderPattern, "Headers of its answer that the caller is told when the call may not pass."),
      ),
      maxConcurrent: optional(
        number(numberLimits.concurrentChecks, "Calls that it may be asked about at once. Default 1024."),
      ),
    })
    .meta({ description: "Somebody outside who says whether a call may pass." }),
);
