import { checkCors } from "./cors-policy.ts";
import { checkDirectResponse } from "./direct-response-policy.ts";
import { wrongAuthority } from "./field-limits.ts";
import { checkHeaderChanges } from "./header-changes-policy.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { checkRedirect } from "./redirect-policy.ts";
import { checkRewrite } from "./rewrite-policy.ts";
import type { RouteRule } from "./route-policy.ts";
import type { StringMatch } from "./string-match.ts";

/** Fields that say how a call is sent, which a rule that answers by itself never does. */
const ofSending = ["split", "rewrite", "requestHeaders", "mirror"] as const;

/** Whether what a rule does to its calls makes sense, each action by itself and beside the others. */
export const checkActions = (
  path: PolicyPath,
  rule: RouteRule,
  check: Check,
  checkComparison: (path: PolicyPath, match: StringMatch, check: Check) => void,
): void => {
  checkRedirect([...path, "redirect"], rule.redirect, rule.match, check);
  checkDirectResponse([...path, "directResponse"], rule.directResponse, check);
  checkRewrite([...path, "rewrite"], rule.rewrite, rule.match, check);
  checkCors([...path, "cors"], rule.cors, check, (at, match) => checkComparison(at, match, check));
  checkHeaderChanges([...path, "requestHeaders"], rule.requestHeaders, check);
  checkHeaderChanges([...path, "responseHeaders"], rule.responseHeaders, check);
  for (const [at, { rewrite, requestHeaders, responseHeaders }] of (rule.split ?? []).entries()) {
    check.text([...path, "split", at, "rewrite", "host"], rewrite?.host, wrongAuthority);
    checkHeaderChanges([...path, "split", at, "requestHeaders"], requestHeaders, check);
    checkHeaderChanges([...path, "split", at, "responseHeaders"], responseHeaders, check);
  }
  checkAnswer(path, rule, check);
};

const checkAnswer = (path: PolicyPath, rule: RouteRule, check: Check): void => {
  const answers = (["redirect", "directResponse"] as const).filter((field) => rule[field] !== undefined);
  if (answers.length > 1) check.report(path, "redirect and directResponse are set: a call has one answer");
  if (answers.length === 0) return;
  for (const field of ofSending) {
    if (rule[field] === undefined) continue;
    check.report([...path, field], `the rule answers by its ${answers[0]} and sends nothing: leave "${field}" out`);
  }
};
