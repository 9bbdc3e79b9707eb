/** A SPIFFE ID in its parts: `spiffe://cluster.local/ns/default/sa/reviews`. */
export interface SpiffeId {
  /** Lower case: a-z, 0-9, `.`, `-` and `_`; 1 to 255 characters. */
  readonly trustDomain: string;
  /** `""`, or `/` and segments of a-z, A-Z, 0-9, `.`, `-` and `_`, none of them empty, `.` or `..`. */
  readonly path: string;
}

/** Who a workload is, in Istio's form of a SPIFFE ID. */
export interface WorkloadIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const SCHEME = "spiffe://";

/** The longest ID in bytes, and the longest trust domain (SPIFFE-ID specification, section 2.3). */
const LONGEST_ID = 2_048;
const LONGEST_TRUST_DOMAIN = 255;

const trustDomainText = /^[a-z0-9._-]+$/;
const pathText = /^(?:\/[A-Za-z0-9._-]+)*$/;
const dotSegment = /\/\.{1,2}(?:\/|$)/;

/** Whether a text may stand where a trust domain stands. */
export const isTrustDomain = (text: string): boolean =>
  text.length <= LONGEST_TRUST_DOMAIN && trustDomainText.test(text);

/** Reads a SPIFFE ID by the letter of the specification: no normalisation, no escapes, no port. `undefined`: it is none. */
export const parseSpiffeId = (text: string): SpiffeId | undefined => {
  if (text.length > LONGEST_ID || !text.startsWith(SCHEME)) return undefined;
  const slash = text.indexOf("/", SCHEME.length);
  const end = slash < 0 ? text.length : slash;
  const trustDomain = text.slice(SCHEME.length, end);
  const path = text.slice(end);
  return isTrustDomain(trustDomain) && isSpiffePath(path) ? { trustDomain, path } : undefined;
};

const isSpiffePath = (path: string): boolean => pathText.test(path) && !dotSegment.test(path);

/** Prints a SPIFFE ID; what {@link parseSpiffeId} read comes back letter by letter. */
export const formatSpiffeId = (id: SpiffeId): string => `${SCHEME}${id.trustDomain}${id.path}`;

/** Whether a text is a SPIFFE ID of a trust domain: the one comparison that may decide whose roots verify a chain. */
export const isOfTrustDomain = (text: string, trustDomain: string): boolean =>
  parseSpiffeId(text)?.trustDomain === trustDomain;

/** An ID as Istio's policies write it, without its scheme; `undefined` when it is no SPIFFE ID. */
export const principalOf = (spiffeId: string): string | undefined =>
  parseSpiffeId(spiffeId) === undefined ? undefined : spiffeId.slice(SCHEME.length);

/**
 * The SPIFFE ID of a workload: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` (Istio's form).
 *
 * @throws RangeError when a part cannot stand in a SPIFFE ID.
 */
export const workloadIdentity = (trustDomain: string, namespace: string, serviceAccount: string): string => {
  const text = `${SCHEME}${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
  const read = parseWorkloadIdentity(text);
  // A part that holds a slash could read as other parts.
  if (read?.trustDomain !== trustDomain || read.namespace !== namespace || read.serviceAccount !== serviceAccount) {
    throw new RangeError(
      `"${text}" is no SPIFFE ID: a trust domain is made of a-z, 0-9, ".", "-" and "_", ` +
        `a namespace and a service account of letters, digits, ".", "-" and "_"`,
    );
  }
  return text;
};

const workloadPath = /^\/ns\/([^/]+)\/sa\/([^/]+)$/;

/** Reads Istio's form of a SPIFFE ID. `undefined`: no SPIFFE ID, or one of another form. */
export const parseWorkloadIdentity = (spiffeId: string): WorkloadIdentity | undefined => {
  const id = parseSpiffeId(spiffeId);
  const found = id === undefined ? null : workloadPath.exec(id.path);
  if (id === undefined || found === null) return undefined;
  const [, namespace = "", serviceAccount = ""] = found;
  return { trustDomain: id.trustDomain, namespace, serviceAccount };
};
