import { Fields } from "../fields.ts";
import type { Findings } from "../finding.ts";
import { type Message, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";

/** A ConfigMap that holds certificates; the kind itself is read with Istio's MeshConfig. */
export const certificateMapMessage: Message<"data"> = message(
  "ConfigMap of certificates",
  { data: to("Service.tls.ca, where a BackendTLSPolicy names it: the entry ca.crt") },
  "ignored",
);

const ROOTS = "ca.crt";

/** The roots that a ConfigMap holds; `undefined` where it holds none. */
export const rootsIn = (document: SourceDocument, findings: Findings): string | undefined =>
  new Fields(document.value, certificateMapMessage, document, [], findings).textMap("data")?.[ROOTS];

/** Whether a ConfigMap has an entry for roots, whatever is in it. */
export const holdsRoots = ({ value: { data } }: SourceDocument): boolean =>
  typeof data === "object" && data !== null && ROOTS in data;
