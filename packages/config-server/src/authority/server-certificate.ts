import type { Clock, Timer } from "@tulle/time";
import type { Authority, ServerCertificate } from "./authority.ts";

/** A certificate for listeners that never runs out. */
export interface KeptServerCertificate {
  readonly current: ServerCertificate;
  /** Issues the next one at once, for what the present one leads to changes. */
  renewNow(): void;
  close(): void;
}

/** What a listener's certificate is kept with. */
export interface ServerCertificateOptions {
  readonly authority: Authority;
  /** Host names and addresses that clients may dial. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  /** Gives the listeners the next generation; connections that are open keep theirs. */
  readonly onRenew: (certificate: ServerCertificate) => void;
  readonly onError: (error: unknown) => void;
}

const RETRY_MS = 1000;

/** Near the end of the root's life, half of what is left comes to nothing. */
const SHORTEST_WAIT_MS = 250;

/** Issues the config-server's own certificate, and the next one at half of its life, as members do. */
export const keepServerCertificate = async (options: ServerCertificateOptions): Promise<KeptServerCertificate> => {
  const { authority, hosts, clock, onRenew, onError } = options;
  let current = await authority.issueServerCertificate(hosts);
  let timer: Timer | undefined;
  let closed = false;

  const renewAfter = (delayMs: number): void => {
    timer?.cancel();
    timer = clock.after(delayMs, () => {
      authority.issueServerCertificate(hosts).then(
        (next) => {
          if (closed) return;
          current = next;
          onRenew(next);
          renewAfter(halfLife(next));
        },
        (error: unknown) => {
          onError(error);
          if (!closed) renewAfter(RETRY_MS);
        },
      );
    });
  };
  const halfLife = ({ notAfterMs }: ServerCertificate): number =>
    Math.max(SHORTEST_WAIT_MS, (notAfterMs - clock.wallNow()) / 2);
  renewAfter(halfLife(current));

  return {
    get current() {
      return current;
    },
    renewNow: () => {
      if (!closed) renewAfter(0);
    },
    close: () => {
      closed = true;
      timer?.cancel();
    },
  };
};
