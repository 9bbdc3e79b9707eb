import type { ExternalServicePolicy } from "../external-service-policy.ts";

/** What a policy of a service outside the mesh says, without its kind, its name and its hosts. */
export type ExternalServiceFields = Omit<ExternalServicePolicy, "kind" | "name" | "hosts">;

/** An `ExternalService` policy: `externalService("payments", "api.payments.example", { tls: { ca } })`. */
export const externalService = (
  name: string,
  hosts: string | readonly string[],
  fields: ExternalServiceFields = {},
): ExternalServicePolicy => ({
  kind: "ExternalService",
  name,
  hosts: typeof hosts === "string" ? [hosts] : [...hosts],
  ...fields,
});
