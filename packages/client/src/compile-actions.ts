import {
  CLUSTER_DOMAIN,
  compileCors,
  compileHeaderChanges,
  compileRedirect,
  compileRewrite,
  DEFAULT_REDIRECT_STATUS,
  DEFAULT_SERVICE_PORT,
  describeHeaderChanges,
  effectiveDirectResponse,
  isPlaintext,
  type RouteRule,
  type ServiceSnapshot,
  servicePortOf,
  splitServiceKey,
  type WeightedDestination,
} from "@tulle/policy";
import { questionOf } from "./call.ts";
import type { DestinationSteps, RuleParts } from "./chain.ts";
import { answerCors, PREFLIGHT_ANSWER } from "./layers/answer-cors.ts";
import { changeHeadersAnew, changeReplyHeaders, changeRequestHeaders } from "./layers/change-headers.ts";
import { redirectAnswer, redirectCall } from "./layers/redirect-call.ts";
import { directAnswer, respondDirectly } from "./layers/respond-directly.ts";
import { rewriteHost, rewritePath } from "./layers/rewrite-target.ts";
import { regexEngine } from "./routing/regex-engine.ts";
import { substitutionEngine } from "./routing/substitution.ts";
import type { Call } from "./send.ts";

/** What a rule would do to a call, for explanations. */
export interface Outlook {
  /** What answers instead of a service. */
  readonly answer: string | undefined;
  readonly sentPath: string;
  readonly sentAuthority: string;
}

/** The ready actions of a rule. */
export interface RuleActions {
  readonly steps: Pick<RuleParts, "cors" | "changeReply" | "answer" | "changeRequest" | "rewritePath" | "rewriteHost">;
  readonly outlook: (call: Call) => Outlook;
}

/** Compiles the actions of a rule, each once. @throws what a policy's patterns throw; `checkPolicies` refuses such ones before. */
export const compileActions = (rule: RouteRule | undefined): RuleActions => {
  const { cors, redirect, directResponse, rewrite, requestHeaders, responseHeaders } = rule ?? {};
  const decide = cors === undefined ? undefined : compileCors(cors, regexEngine);
  const replyChange = compileHeaderChanges([responseHeaders]);
  const requestChange = compileHeaderChanges([requestHeaders]);
  const direct = directResponse === undefined ? undefined : effectiveDirectResponse(directResponse);
  const ready =
    redirect === undefined
      ? undefined
      : { status: redirect.status ?? DEFAULT_REDIRECT_STATUS, locate: compileRedirect(redirect, substitutionEngine) };
  const path = rewrite === undefined ? undefined : compileRewrite(rewrite, substitutionEngine);
  const host = rewrite?.host;
  return {
    steps: {
      cors: decide && answerCors(decide),
      changeReply: replyChange && changeReplyHeaders(replyChange),
      answer: (ready && redirectCall(ready)) ?? (direct && respondDirectly(direct)),
      changeRequest: requestChange && changeRequestHeaders(requestChange),
      rewritePath: path && rewritePath(path),
      rewriteHost: host === undefined ? undefined : rewriteHost(host),
    },
    outlook: (call) => ({
      answer:
        decide?.(questionOf(call)).kind === "answer"
          ? PREFLIGHT_ANSWER
          : ((ready && redirectAnswer(ready.status, ready.locate(questionOf(call), call.match))) ??
            (direct && directAnswer(direct))),
      sentPath: path?.(questionOf(call), call.match) ?? call.path,
      sentAuthority: host ?? call.authority,
    }),
  };
};

/** What a destination does to its calls by itself, ready and in words. */
export interface DestinationActions {
  readonly steps: DestinationSteps;
  /** The Host that it is sent, where the destination decides that. */
  readonly sentAuthority: string | undefined;
  readonly changes: readonly string[];
}

/** Of a destination that sends what it is given. */
export const NO_ACTIONS: DestinationActions = {
  steps: { rewriteHost: undefined, changeRequest: undefined, changeReply: undefined },
  sentAuthority: undefined,
  changes: [],
};

/** Compiles what a destination of a rule does to its calls. */
export const compileDestinationActions = (
  rule: RouteRule | undefined,
  destination: WeightedDestination,
  target: ServiceSnapshot,
): DestinationActions => {
  const { requestHeaders, responseHeaders } = destination;
  const own = compileHeaderChanges([requestHeaders]);
  const both = compileHeaderChanges([requestHeaders, rule?.requestHeaders]);
  const replyChange = compileHeaderChanges([responseHeaders]);
  const host = sentHost(rule, destination, target);
  return {
    steps: {
      rewriteHost: host === undefined ? undefined : rewriteHost(host),
      changeRequest: own && both && changeHeadersAnew(both),
      changeReply: replyChange && changeReplyHeaders(replyChange),
    },
    sentAuthority: host,
    changes: changesOf(rule, destination),
  };
};

/** The port that nobody writes in a URL of https. */
const TLS_PORT = 443;

/** The Host that a destination decides; a rule's own goes before. */
const sentHost = (
  rule: RouteRule | undefined,
  { rewrite }: WeightedDestination,
  { key, policy, external }: ServiceSnapshot,
): string | undefined => {
  if (rule?.rewrite?.host !== undefined) return undefined;
  if (rule?.rewrite?.autoHost !== true) return rewrite?.host;
  const { name, namespace } = splitServiceKey(key);
  const host = policy.hosts?.[0] ?? `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
  const port = servicePortOf(policy);
  const implied = external === undefined || isPlaintext(external) ? DEFAULT_SERVICE_PORT : TLS_PORT;
  return port === implied ? host : `${host}:${port}`;
};

/** The changes of headers that calls to a destination of a rule meet, in words. */
const changesOf = (rule: RouteRule | undefined, destination: WeightedDestination): readonly string[] =>
  (
    [
      ["sent", destination.requestHeaders],
      ["sent", rule?.requestHeaders],
      ["answered", destination.responseHeaders],
      ["answered", rule?.responseHeaders],
    ] as const
  ).flatMap(([which, changes]) =>
    changes === undefined ? [] : [`${which} headers: ${describeHeaderChanges(changes)}`],
  );
