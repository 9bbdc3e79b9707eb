import { z } from "zod";
import { durationLimits, wrongHeaderName } from "../field-limits.ts";
import {
  type ClaimToHeader,
  type JwtHeader,
  type JwtRule,
  wrongAudience,
  wrongClaim,
  wrongClaimHeader,
  wrongCookieName,
  wrongJwks,
  wrongJwksUri,
  wrongNonEmpty,
  wrongTokenPrefix,
} from "../jwt-policy.ts";
import { exactly } from "./exactly.ts";
import { duration, list, optional, text, texts } from "./fields.ts";

const header: z.ZodType<JwtHeader> = exactly<JwtHeader>()(
  z.strictObject({
    name: text(wrongHeaderName, "The header's name."),
    prefix: optional(text(wrongTokenPrefix, "What stands before the token, its space included. Default none.")),
  }),
);

const claimToHeader: z.ZodType<ClaimToHeader> = exactly<ClaimToHeader>()(
  z.strictObject({
    header: text(wrongClaimHeader, "The header; what callers send by this name is taken out."),
    claim: text(wrongClaim, 'The claim; "a.b" names b in a.'),
  }),
);

/** The schema of a rule about tokens of end users. */
export const jwtRuleSchema: z.ZodType<JwtRule> = exactly<JwtRule>()(
  z
    .strictObject({
      issuer: optional(text(wrongNonEmpty, "The token's iss. Default every issuer that has the keys.")),
      audiences: optional(texts(wrongAudience, "Of which the token's aud must name one. Default every audience.")),
      jwksUri: optional(text(wrongJwksUri, "Where the issuer publishes its keys. Default by OpenID discovery.")),
      jwks: optional(text(wrongJwks, "The keys, a JSON Web Key Set as JSON text.")),
      fromHeaders: optional(list(header, 'Headers to look into. Default authorization with "Bearer ".')),
      fromParams: optional(texts(wrongNonEmpty, "Parameters of the query to look into. Default access_token.")),
      fromCookies: optional(texts(wrongCookieName, "Cookies to look into. Default none.")),
      forwardOriginalToken: optional(
        z.boolean().meta({ description: "Whether the handler sees the token too. Default false." }),
      ),
      outputPayloadToHeader: optional(text(wrongClaimHeader, "A header that carries the payload, in base64url.")),
      outputClaimToHeaders: optional(list(claimToHeader, "Claims that are copied into headers.")),
      spaceDelimitedClaims: optional(
        texts(wrongClaim, "Claims whose text is a list divided by spaces, besides scope and permission."),
      ),
      presence: optional(
        z.enum(["optional", "required"]).meta({
          description: 'Whether a request must carry a token that this rule believes. Default "optional".',
        }),
      ),
      timeout: optional(duration(durationLimits.jwksTimeout, 'How long fetching the keys may take. Default "5s".')),
    })
    .meta({ description: "Which tokens of an issuer are believed." }),
);
