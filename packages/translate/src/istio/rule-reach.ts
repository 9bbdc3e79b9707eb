import type { RouteMatch, RoutePolicy, RouteRule } from "@tulle/policy";

/** What Istio answers where a VirtualService has no rule for a call. */
const NO_ROUTE = 404;

/** A rule for callers of some namespaces alone; no rule at all where its own matches are for others. */
export const seenFrom = (rule: RouteRule, namespaces: readonly string[]): readonly RouteRule[] => {
  const match = (rule.match ?? [{}]).flatMap((each): readonly RouteMatch[] => {
    const own = each.source?.namespace;
    if (own !== undefined) return namespaces.includes(own) ? [each] : [];
    return namespaces.map((namespace) => ({ ...each, source: { ...each.source, namespace } }));
  });
  return match.length === 0 ? [] : [{ ...rule, match }];
};

/** What Istio answers to callers that have rules, of which none fits the call. */
const noRoute: RouteRule = { name: "no-route", directResponse: { status: NO_ROUTE } };

/** The rules, with what calls get that none of them fits: an answer, but for callers and ports of which no rule speaks. */
export const withAnswerToOthers = (rules: readonly RouteRule[]): Pick<RoutePolicy, "rules" | "unmatched"> => {
  const reached = reachOf(rules);
  return reached === undefined ? { rules, unmatched: "refuse" } : { rules: [...rules, { ...noRoute, match: reached }] };
};

/**
 * The callers and ports that have any rule at all; `undefined` for all. For a caller or a port of which no rule speaks Istio's
 * proxies know nothing of the document, and hand the call on to the service.
 */
const reachOf = (rules: readonly RouteRule[]): readonly RouteMatch[] | undefined => {
  const reached = new Map<string, RouteMatch>();
  for (const { match } of rules) {
    for (const { source, port } of match ?? [{}]) {
      if (source === undefined && port === undefined) return undefined;
      const each: RouteMatch = { ...(port === undefined ? {} : { port }), ...(source === undefined ? {} : { source }) };
      reached.set(JSON.stringify(each), each);
    }
  }
  return [...reached.values()];
};
