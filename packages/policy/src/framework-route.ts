/**
 * Whether a route template of a framework, as the framework names it, is one that a policy names.
 *
 * @param mount its beginning, where that is written as it was requested: Express shows so where a router is mounted.
 */
export type FrameworkRouteTest = (route: string, mount?: string) => boolean;

/**
 * Compiles route templates as Express and Fastify write them (`/reviews/:id`). Compared segment by segment:
 *
 * - a segment that begins with `:` stands for a parameter of whatever name, and for any one segment of a mount path, for of that
 *   nobody knows whether it was a parameter's; where `wide` for fixed text too;
 * - other segments are equal but for the case of letters, for Express routes without regard to it;
 * - slashes at the end do not count, for Express and, where so configured, Fastify do not count them either;
 * - `*` alone is any route that the framework has a template for.
 */
export const compileFrameworkRoutes = (templates: readonly string[], wide: boolean): FrameworkRouteTest => {
  const any = templates.includes("*");
  const known = templates.filter((template) => template !== "*").map(segmentsOf);
  return (route, mount = "") => {
    if (any) return true;
    const segments = segmentsOf(route);
    const mounted = segmentsOf(mount).length;
    // A route with fixed text where a policy has a parameter is another route: who may read any review may not read /reviews/all.
    const isParameter = (at: number): boolean => wide || at < mounted || segments[at]?.startsWith(":") === true;
    return known.some(
      (template) =>
        template.length === segments.length &&
        template.every((segment, at) => segment === segments[at] || (segment.startsWith(":") && isParameter(at))),
    );
  };
};

/** Why a text is no route template; `undefined` when it is one. */
export const whyNoFrameworkRoute = (template: string): string | undefined => {
  if (template === "*" || template.startsWith("/")) return undefined;
  return `"${template}" is no route template: write it as the framework does, such as "/reviews/:id", or "*" for any route`;
};

const segmentsOf = (template: string): readonly string[] => {
  const segments = template.toLowerCase().split("/").slice(1);
  while (segments.at(-1) === "") segments.pop();
  return segments;
};
