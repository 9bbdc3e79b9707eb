import type { MemberList, MemberStatus, ServerStatus } from "@tulle/protocol";
import type { Command } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const statusCommand = (terminal: Terminal): Command =>
  newAdminCommand(
    "status",
    "show the config-server and its members: versions, the revision each runs, and refusals",
  ).action(async (options: CommonOptions) => {
    const [server, list] = await withAdmin(terminal, options, (admin) =>
      Promise.all([admin.ask<ServerStatus>("GET", "/v1/status"), admin.ask<MemberList>("GET", "/v1/members")]),
    );
    if (options.json) {
      printJson(terminal, { server, members: list.members });
      return;
    }
    if (terminal.interactive) {
      const grace = server.inStartGrace ? ", start grace: no endpoint is removed yet" : "";
      terminal.write(
        `${server.software}, trust domain ${server.trustDomain}, revision ${server.revision}, ${server.members} connected${grace}\n\n`,
      );
    }
    printTable(terminal, {
      headings: ["MEMBER", "SERVICE", "LABELS", "SOFTWARE", "STATE", "POLICY", "CERTIFICATE ENDS", "REFUSED"],
      rows: list.members.map((member) => row(member, list, terminal)),
      empty: "no members",
    });
  });

const row = (member: MemberStatus, { revision }: MemberList, terminal: Terminal): readonly string[] => {
  const running = member.revisions.policy;
  return [
    member.id,
    member.service,
    Object.entries(member.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    member.software,
    `${member.connected ? "connected" : "gone"} ${moment(member.sinceMs, terminal)}`,
    running === undefined ? "-" : running === revision ? running : `${running} (behind)`,
    member.certificateNotAfterMs === undefined ? "-" : moment(member.certificateNotAfterMs, terminal),
    Object.entries(member.refusals)
      .map(([stream, { revision: refused, reason }]) => `${stream} ${refused}: ${reason}`)
      .join("; "),
  ];
};

const moment = (atMs: number, terminal: Terminal): string =>
  terminal.interactive ? age(atMs, terminal.wallNow()) : new Date(atMs).toISOString();
