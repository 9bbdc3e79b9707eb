import type { Socket } from "node:net";
import type { Timer } from "@tulle/time";
import type { Connect } from "./connector.ts";

/**
 * A socket that is made before a call asks for it. An undici client connects with its first request, so the socket waits here
 * until then; one that ended meanwhile is replaced when it is asked for, and no call hears of it.
 */
export class SocketAhead {
  readonly #connect: Connect;
  #socket: Socket | undefined;
  /** The request that asked before the socket was there. */
  #asked: Parameters<Connect>[1] | undefined;
  #timer: Timer | undefined;
  #onClose: (() => void) | undefined;
  #state: "connecting" | "waiting" | "taken" | "ended" = "connecting";

  /** Begins the connect. `made` hears once how it ended, also where a request asked meanwhile; not after {@link end}. */
  constructor(connect: Connect, made: (socket: Socket | null) => void) {
    this.#connect = connect;
    connect(undefined, (error, socket) => {
      if (this.#state === "ended") {
        socket?.destroy();
        return;
      }
      if (this.#asked !== undefined) {
        this.#state = "taken";
        this.#asked(error, socket);
      } else if (socket !== null) {
        this.#state = "waiting";
        // It does not keep the process alive.
        this.#socket = socket.unref();
      }
      made(socket);
    });
  }

  /** Whether it waits for a request: it is open, and its peer has said nothing on it, for nobody asked anything. */
  get usable(): boolean {
    const socket = this.#socket;
    return socket !== undefined && !socket.destroyed && socket.writable && socket.readableLength === 0;
  }

  /** Watches over a socket that nobody has asked for. */
  rest(timer: Timer, onClose: () => void): void {
    this.#timer = timer;
    this.#onClose = onClose;
    this.#socket?.once("close", onClose);
  }

  /** What an undici client connects with. */
  readonly take: Connect = (options, callback) => {
    if (this.#state === "connecting") {
      this.#asked = callback;
      return;
    }
    const socket = this.#stopResting();
    // undici does not bear an answer within its question, and after a turn of the event loop the end of a connection that has
    // rested can be read.
    setImmediate(() => {
      if (socket !== undefined && !socket.destroyed && socket.writable && socket.readableLength === 0) {
        callback(null, socket.ref());
      } else {
        socket?.destroy();
        this.#connect(options, callback);
      }
    });
  };

  /** Nobody will take it. */
  end(): void {
    this.#stopResting()?.destroy();
    this.#state = "ended";
  }

  #stopResting(): Socket | undefined {
    const socket = this.#socket;
    this.#timer?.cancel();
    if (this.#onClose !== undefined) socket?.off("close", this.#onClose);
    this.#socket = undefined;
    this.#state = "taken";
    return socket;
  }
}
