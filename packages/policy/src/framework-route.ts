/** Whether a route template of a framework, as the framework names it, is one that a policy names. */
export type FrameworkRouteTest = (route: string) => boolean;

/**
 * Compiles route templates as Express and Fastify write them (`/reviews/:id`). Compared segment by segment:
 *
 * - a segment that begins with `:` stands for any one segment, so the name of a parameter does not matter, nor whether
 *   the framework names a mount path by its template or, as Express does for routers, by what was requested;
 * - other segments are equal but for the case of letters, for Express routes without regard to it;
 * - slashes at the end do not count, for Express and, where so configured, Fastify do not count them either;
 * - `*` alone is any route that the framework has a template for.
 */
export const compileFrameworkRoutes = (templates: readonly string[]): FrameworkRouteTest => {
  const any = templates.includes("*");
  const known = templates.filter((template) => template !== "*").map(segmentsOf);
  return (route) => {
    if (any) return true;
    const segments = segmentsOf(route);
    return known.some(
      (template) =>
        template.length === segments.length &&
        template.every((segment, at) => segment.startsWith(":") || segment === segments[at]),
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
