import { z } from "zod";
import { wrongHost } from "../field-limits.ts";
import { type OutsideTls, wrongAlternativeName, wrongCa } from "../outside-tls.ts";
import { exactly } from "./exactly.ts";
import { optional, text, texts } from "./fields.ts";

/** TLS to whoever is no member of the mesh. */
export const outsideTlsSchema: z.ZodType<OutsideTls> = exactly<OutsideTls>()(
  z
    .strictObject({
      mode: optional(
        z
          .enum(["disable", "simple", "mutual"])
          .meta({ description: 'mutual: with the certificate of the mesh. Default "simple".' }),
      ),
      sni: optional(text(wrongHost, "The name that is asked for. Default the host that is called.")),
      ca: optional(text(wrongCa, "Roots, PEM. Default those that Node.js trusts.")),
      subjectAltNames: optional(
        texts(wrongAlternativeName, "Names of which the certificate must hold one. Default the name asked for."),
      ),
    })
    .meta({ description: "TLS to whoever is no member of the mesh." }),
);
