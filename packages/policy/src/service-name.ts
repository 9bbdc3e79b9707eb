/** The last part of the long name of a service, as Kubernetes and Istio write it. */
export const CLUSTER_DOMAIN = "cluster.local";

/** A service's name inside the mesh: `namespace/name`, such as `default/reviews`. */
export type ServiceKey = `${string}/${string}`;

/** Builds the key of a service. */
export const serviceKey = (namespace: string, name: string): ServiceKey => `${namespace}/${name}`;

/** Splits a key into its two parts. */
export const splitServiceKey = (key: ServiceKey): { readonly namespace: string; readonly name: string } => {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
};

/**
 * The service that a policy's reference means: `reviews` (in the policy's own namespace), `reviews.bookinfo`,
 * or `reviews.bookinfo.svc.cluster.local`. Says nothing about whether such a service exists.
 */
export const referencedService = (reference: string, ownNamespace: string): ServiceKey => {
  const [name = "", namespace = ownNamespace] = reference.toLowerCase().split(".");
  return serviceKey(namespace, name);
};
