/** The statuses of gRPC with their codes, and the HTTP status that stands for each (Envoy, google.rpc.Code). */
export const grpcStatuses = {
  CANCELLED: { code: 1, http: 499 },
  UNKNOWN: { code: 2, http: 500 },
  INVALID_ARGUMENT: { code: 3, http: 400 },
  DEADLINE_EXCEEDED: { code: 4, http: 504 },
  NOT_FOUND: { code: 5, http: 404 },
  ALREADY_EXISTS: { code: 6, http: 409 },
  PERMISSION_DENIED: { code: 7, http: 403 },
  RESOURCE_EXHAUSTED: { code: 8, http: 429 },
  FAILED_PRECONDITION: { code: 9, http: 400 },
  ABORTED: { code: 10, http: 409 },
  OUT_OF_RANGE: { code: 11, http: 400 },
  UNIMPLEMENTED: { code: 12, http: 501 },
  INTERNAL: { code: 13, http: 500 },
  UNAVAILABLE: { code: 14, http: 503 },
  DATA_LOSS: { code: 15, http: 500 },
  UNAUTHENTICATED: { code: 16, http: 401 },
} as const;

/** The name of a status of gRPC that is a failure. */
export type GrpcStatus = keyof typeof grpcStatuses;

// Object.keys widens to text; these are the keys.
/** All names, by their codes. */
export const grpcStatusNames = Object.keys(grpcStatuses) as readonly GrpcStatus[];

/** The gRPC status that an HTTP status means to a caller who speaks gRPC (gRPC's http-grpc-status-mapping). */
export const grpcStatusOfHttp = (status: number): GrpcStatus => {
  if (status === 400) return "INTERNAL";
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "PERMISSION_DENIED";
  if (status === 404) return "UNIMPLEMENTED";
  if (status === 429 || status === 502 || status === 503 || status === 504) return "UNAVAILABLE";
  return "UNKNOWN";
};

/** Whether a request speaks gRPC, by its content type (Envoy): `application/grpc`, alone or with a suffix such as `+proto`. */
export const isGrpc = (contentType: string | undefined): boolean =>
  contentType !== undefined && /^application\/grpc(?:$|[+;])/i.test(contentType);
