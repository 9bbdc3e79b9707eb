import { type GrpcStatus, grpcStatuses, type RouteRule } from "@tulle/policy";

/** An answer of gRPC without a message: its status stands in the headers ("Trailers-Only"). */
export const grpcAnswer = (status: GrpcStatus, text: string): RouteRule => ({
  directResponse: {
    status: 200,
    headers: {
      "content-type": "application/grpc",
      "grpc-status": String(grpcStatuses[status].code),
      "grpc-message": text,
    },
  },
});
