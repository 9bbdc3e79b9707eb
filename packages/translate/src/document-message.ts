import { ignored, type Message, message, to } from "./message.ts";

/** What every document of Kubernetes' form has. */
export const documentMessage: Message<"apiVersion" | "kind" | "metadata" | "spec" | "status"> = message("Document", {
  apiVersion: to("the kind of document"),
  kind: to("the kind of document"),
  metadata: to("name and namespace"),
  spec: to("the policy"),
  status: ignored("written by the cluster"),
});
