import { readFileSync } from "node:fs";
import type {
  BundleExport,
  FederatedDomain,
  FederationList,
  FederationRequest,
  RenewResult,
  RevocationEntries,
  RevocationEntry,
  RevocationRequest,
  RotationRequest,
  RotationStatus,
} from "@tulle/protocol";
import { Command, Option } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { usageFailure } from "../exit-code.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const certificatesCommand = (terminal: Terminal): Command =>
  new Command("certificates")
    .description("renew and revoke certificates, rotate the root, federate")
    .addCommand(renew(terminal))
    .addCommand(rotate(terminal))
    .addCommand(federate(terminal))
    .addCommand(bundle(terminal))
    .addCommand(revoke(terminal))
    .addCommand(listRevocations(terminal))
    .addCommand(restore(terminal));

interface RenewOptions extends CommonOptions {
  readonly within?: string;
}

const renew = (terminal: Terminal): Command =>
  newAdminCommand("renew", "ask members to renew their certificates now")
    .argument("[member]", "a member's id; all connected members without one")
    .option("--within <duration>", "spread the renewals over this long, 0s to 24h")
    .action(async (member: string | undefined, { within, ...options }: RenewOptions) => {
      const order = { ...(member === undefined ? {} : { member }), ...(within === undefined ? {} : { within }) };
      const { asked } = await withAdmin(terminal, options, (admin) =>
        admin.ask<RenewResult>("POST", "/v1/certificates/renew", order),
      );
      if (options.json) printJson(terminal, { asked });
      else for (const id of asked) terminal.write(`asked\t${id}\n`);
    });

const federate = (terminal: Terminal): Command =>
  new Command("federate")
    .description("trust the roots of other meshes for their own names")
    .addCommand(
      newAdminCommand("add", "trust another mesh, or replace what is trusted of it")
        .argument("<trust-domain>")
        .argument("<file>", "its bundle: PEM, or SPIFFE's JWK set; - is the standard input")
        .action(async (trustDomain: string, file: string, options: CommonOptions) => {
          const order: FederationRequest = { trustDomain, bundle: readBundle(file) };
          const added = await withAdmin(terminal, options, (admin) =>
            admin.ask<FederatedDomain>("POST", "/v1/federation", order),
          );
          if (options.json) printJson(terminal, added);
          else terminal.write(`federated\t${added.trustDomain}\t${added.roots.length}\n`);
        }),
    )
    .addCommand(
      newAdminCommand("list", "list the meshes that are trusted").action(async (options: CommonOptions) => {
        const list = await withAdmin(terminal, options, (admin) => admin.ask<FederationList>("GET", "/v1/federation"));
        if (options.json) {
          printJson(terminal, list);
          return;
        }
        printTable(terminal, {
          headings: ["TRUST DOMAIN", "ROOT", "ENDS", "SHA-256"],
          rows: list.federated.flatMap(({ trustDomain, roots }) =>
            roots.map(({ subject, notAfterMs, fingerprint }) => [
              trustDomain,
              subject,
              terminal.interactive ? age(notAfterMs, terminal.wallNow()) : new Date(notAfterMs).toISOString(),
              fingerprint,
            ]),
          ),
          empty: "no mesh is federated",
        });
      }),
    )
    .addCommand(
      newAdminCommand("remove", "trust a mesh no longer: its connections end")
        .argument("<trust-domain>")
        .action(async (trustDomain: string, options: CommonOptions) => {
          await withAdmin(terminal, options, (admin) =>
            admin.ask("DELETE", `/v1/federation/${encodeURIComponent(trustDomain)}`),
          );
          if (options.json) printJson(terminal, { removed: trustDomain });
          else terminal.write(`removed\t${trustDomain}\n`);
        }),
    );

const readBundle = (file: string): string => {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw usageFailure(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
};

interface BundleOptions extends CommonOptions {
  readonly format: string;
}

const bundle = (terminal: Terminal): Command =>
  newAdminCommand("bundle", "print our own bundle, for another mesh to trust")
    .addOption(new Option("--format <format>", "form of the bundle").choices(["pem", "jwks"]).default("pem"))
    .action(async ({ format, ...options }: BundleOptions) => {
      const exported = await withAdmin(terminal, options, (admin) => admin.ask<BundleExport>("GET", "/v1/bundle"));
      if (options.json) printJson(terminal, exported);
      else terminal.write(format === "jwks" ? `${exported.jwks}\n` : exported.pem);
    });

interface RevokeOptions extends CommonOptions {
  readonly reason?: string;
  readonly ttl?: string;
}

const revoke = (terminal: Terminal): Command =>
  newAdminCommand("revoke", "refuse a certificate, or whoever shows an identity, from now on")
    .argument("<serial-or-spiffe-id>", "from `tulle status --json` or the audit log")
    .option("--reason <text>", "for people")
    .option("--ttl <duration>", "how long the certificates may live yet (default: as long as this mesh's do)")
    .action(async (what: string, { reason, ttl, ...options }: RevokeOptions) => {
      const order: RevocationRequest = {
        ...(what.startsWith("spiffe://") ? { spiffeId: what } : { serial: what }),
        ...(reason === undefined ? {} : { reason }),
        ...(ttl === undefined ? {} : { ttl }),
      };
      const entry = await withAdmin(terminal, options, (admin) =>
        admin.ask<RevocationEntry>("POST", "/v1/certificates/revocations", order),
      );
      if (options.json) printJson(terminal, entry);
      else terminal.write(`revoked\t${entry.serial ?? entry.spiffeId}\n`);
    });

const listRevocations = (terminal: Terminal): Command =>
  newAdminCommand("revocations", "list what was revoked").action(async (options: CommonOptions) => {
    const list = await withAdmin(terminal, options, (admin) =>
      admin.ask<RevocationEntries>("GET", "/v1/certificates/revocations"),
    );
    if (options.json) {
      printJson(terminal, list);
      return;
    }
    const moment = (atMs: number): string =>
      terminal.interactive ? age(atMs, terminal.wallNow()) : new Date(atMs).toISOString();
    printTable(terminal, {
      headings: ["REVOKED", "SINCE", "MEMBERS ARE TOLD UNTIL", "REASON"],
      rows: list.revocations.map(({ serial, spiffeId, atMs, untilMs, reason }) => [
        serial ?? spiffeId ?? "",
        moment(atMs),
        untilMs === undefined ? "-" : moment(untilMs),
        reason,
      ]),
      empty: "nothing was revoked",
    });
  });

const restore = (terminal: Terminal): Command =>
  newAdminCommand("restore", "take a revocation back")
    .argument("<serial-or-spiffe-id>")
    .action(async (what: string, options: CommonOptions) => {
      await withAdmin(terminal, options, (admin) =>
        admin.ask("DELETE", `/v1/certificates/revocations/${encodeURIComponent(what)}`),
      );
      if (options.json) printJson(terminal, { restored: what });
      else terminal.write(`restored\t${what}\n`);
    });

const rotate = (terminal: Terminal): Command =>
  new Command("rotate")
    .description("replace the root in steps: prepare, distribute, activate, retire")
    .addCommand(step(terminal, "prepare", "make a new root, which nobody trusts yet"))
    .addCommand(step(terminal, "distribute", "tell all members to trust the new root"))
    .addCommand(
      step(terminal, "activate", "sign with the new root, once all members trust it")
        .option("--within <duration>", "members renew at random within this long (default: each at its own half life)")
        .option("--force", "although members hold it back: they are cut off"),
    )
    .addCommand(
      step(terminal, "retire", "trust the old root no longer, once no certificate under it lives").option(
        "--force",
        "although certificates under it live: whoever has not renewed is cut off",
      ),
    )
    .addCommand(step(terminal, "abort", "give the new root up before it signs"))
    .addCommand(
      newAdminCommand("status", "show the roots and who holds the next step back").action(
        async (options: CommonOptions) => {
          const status = await withAdmin(terminal, options, (admin) =>
            admin.ask<RotationStatus>("GET", "/v1/certificates/rotation"),
          );
          print(terminal, status, options);
        },
      ),
    );

interface StepOptions extends CommonOptions {
  readonly force?: boolean;
  readonly within?: string;
}

const step = (terminal: Terminal, name: string, description: string): Command =>
  newAdminCommand(name, description).action(async ({ force, within, ...options }: StepOptions) => {
    const order: RotationRequest = {
      ...(force === undefined ? {} : { force }),
      ...(within === undefined ? {} : { within }),
    };
    const status = await withAdmin(terminal, options, (admin) =>
      admin.ask<RotationStatus>("POST", `/v1/certificates/rotation/${name}`, order),
    );
    print(terminal, status, options);
  });

const print = (terminal: Terminal, status: RotationStatus, options: CommonOptions): void => {
  if (options.json) {
    printJson(terminal, status);
    return;
  }
  const moment = (atMs: number): string =>
    terminal.interactive ? age(atMs, terminal.wallNow()) : new Date(atMs).toISOString();
  printTable(terminal, {
    headings: ["ROOT", "STATE", "SINCE", "ENDS", "LEAVES UNTIL"],
    rows: status.roots.map(({ id, state, sinceMs, notAfterMs, leavesUntilMs }) => [
      id,
      state,
      moment(sinceMs),
      moment(notAfterMs),
      leavesUntilMs === undefined ? "-" : moment(leavesUntilMs),
    ]),
    empty: "no roots",
  });
  for (const warning of status.warnings) terminal.writeError(`${warning}\n`);
  for (const { member, reason } of status.heldBackBy) terminal.writeError(`${member} ${reason}\n`);
  const follows = NEXT[status.phase];
  if (terminal.interactive && follows !== undefined)
    terminal.writeError(`next: tulle certificates rotate ${follows}\n`);
};

const NEXT: Readonly<Record<RotationStatus["phase"], string | undefined>> = {
  none: undefined,
  prepared: "distribute",
  distributing: "activate",
  activated: "retire",
};
