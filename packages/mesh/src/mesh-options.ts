import type { CustomBalancers } from "@tulle/client";
import type { EndpointLocality } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { Dispatcher } from "undici";

/** How far a service has moved into the mesh. */
export type MeshMode =
  /** A pass-through: calls go where they always went, listeners are plain. */
  | "off"
  /** Gates look and tell, but refuse nothing; calls go where they always went. */
  | "observe"
  /** Calls go through the mesh; gates look and tell, but refuse nothing. */
  | "client"
  /** Everything. */
  | "full";

/** The modes, for whoever reads one from outside. */
export const meshModes: readonly MeshMode[] = ["off", "observe", "client", "full"];

/** The service of a process that names none: a script, a test, a member that is switched off. */
export const NO_SERVICE = "client";

/** Where a mesh tells what people should know. Any pino-shaped logger fits. Silent by default. */
export interface MeshLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** A logger that says nothing. */
export const silentLogger: MeshLogger = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What a process says of itself and of its calls, however it came by its policies. */
export interface MeshOptions {
  /** The namespace of this service. @default TULLE_NAMESPACE, else "default" */
  readonly namespace?: string;
  /** Labels of this instance, such as `{ version: "v1" }`; subsets select by them. @default {} */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Where this instance is: others prefer it by that, and its own calls prefer others. Each part at most 253 characters.
   * @default TULLE_REGION, TULLE_ZONE, TULLE_SUBZONE
   */
  readonly locality?: EndpointLocality;
  /** @default TULLE_MODE, else "full" */
  readonly mode?: MeshMode;
  /** The undici dispatcher that hosts outside the mesh are handed to, untouched. @default the one that was global before */
  readonly outside?: Dispatcher;
  /** Whether the mesh's own failures reject or answer as a proxy would. @default "error" */
  readonly localReplies?: "error" | "response";
  /**
   * Balancers of the application's own, by the names under which `Service` policies ask for them: `balancer: { algorithm:
   * custom, name: mine }`. A policy that names another is refused. @default none
   */
  readonly balancers?: CustomBalancers;
  /**
   * Idle connections that this process keeps to all endpoints together; beyond, the one that has been idle for longest is closed.
   * Each is an open file. Range 1 to 1,000,000. @default TULLE_MAX_IDLE_CONNECTIONS, else 1024
   */
  readonly maxIdleConnections?: number;
  /** @default silent */
  readonly logger?: MeshLogger;
  /** @default the system's clock */
  readonly clock?: Clock;
  /** @default Math.random */
  readonly random?: Random;
}
