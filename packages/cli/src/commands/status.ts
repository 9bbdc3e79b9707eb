import { inboundFor, namespaceOf, type Policy, referencedService, type ServiceKey, servicesOf } from "@tulle/policy";
import type { MemberList, MemberStatus, PolicyList, ServerStatus } from "@tulle/protocol";
import type { Command } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const statusCommand = (terminal: Terminal): Command =>
  newAdminCommand("status", "show the config-server and its members: versions, the revision each runs, and refusals")
    .argument("[service]", "only its members, and the policies that are in force for it with the places they came from")
    .action((service: string | undefined, options: CommonOptions) => status(terminal, service, options));

const status = async (terminal: Terminal, service: string | undefined, options: CommonOptions): Promise<void> => {
  const key = service === undefined ? undefined : referencedService(service, "default");
  const [server, all, policies] = await withAdmin(terminal, options, (admin) =>
    Promise.all([
      admin.ask<ServerStatus>("GET", "/v1/status"),
      admin.ask<MemberList>("GET", "/v1/members"),
      key === undefined ? undefined : admin.ask<PolicyList>("GET", "/v1/policies"),
    ]),
  );
  const members = all.members.filter((member) => key === undefined || member.service === key);
  const inForce = key === undefined || policies === undefined ? undefined : policiesFor(key, policies.policies);
  if (options.json) printJson(terminal, { server, members, ...(inForce && { policies: inForce }) });
  else {
    if (terminal.interactive) {
      const grace = server.inStartGrace ? ", start grace: no endpoint is removed yet" : "";
      terminal.write(
        `${server.software}, trust domain ${server.trustDomain}, revision ${server.revision}, ${server.members} connected${grace}\n\n`,
      );
    }
    printTable(terminal, {
      headings: ["MEMBER", "SERVICE", "LABELS", "SOFTWARE", "STATE", "POLICY", "CERTIFICATE ENDS", "REFUSED"],
      rows: members.map((member) => row(member, all, terminal)),
      empty: "no members",
    });
    if (inForce !== undefined) printPolicies(terminal, inForce);
  }
};

/** The policies that say something of a service: its own, its routes, and who may call it how. */
const policiesFor = (key: ServiceKey, policies: readonly Policy[]): readonly Policy[] => {
  const own = servicesOf(policies).get(key);
  const inbound = inboundFor(policies, key);
  return [
    ...(own === undefined ? [] : [own.policy, ...own.routes]),
    ...(inbound?.access ?? []),
    ...(inbound?.authentication ?? []),
  ];
};

const printPolicies = (terminal: Terminal, policies: readonly Policy[]): void => {
  terminal.write("\n");
  printTable(terminal, {
    headings: ["POLICY", "NAMESPACE", "NAME", "FROM"],
    rows: policies.map((policy) => [policy.kind, namespaceOf(policy), policy.name, placesOf(policy).join(", ")]),
    empty: "no policies",
  });
};

/** Where a policy was read; a route may be made of several documents. */
const placesOf = (policy: Policy): readonly string[] => {
  const rules = policy.kind === "Route" ? policy.rules.flatMap(({ origin }) => origin ?? []) : [];
  const origins = rules.length > 0 ? rules : policy.origin === undefined ? [] : [policy.origin];
  return [...new Set(origins.map(({ file, line }) => `${file}:${line}`))];
};

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
