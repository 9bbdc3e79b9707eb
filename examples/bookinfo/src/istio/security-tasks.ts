import type { Observation } from "./observation.ts";
import type { Stage, Task } from "./task.ts";
import { errorIn, type Visit, visit } from "./visits.ts";

const PAGE = "/productpage";
const DETAILS = "/api/v1/products/0";
const REVIEWS = "/api/v1/products/0/reviews";
/** Of v2, by the route that holds during all of these tasks. */
const RATED = `${REVIEWS}?u=jason`;

const access = (...names: readonly string[]): readonly string[] => [
  "tasks/jason-v2.yaml",
  ...names.map((name) => `tasks/access/${name}.yaml`),
];

/** The tasks about who may do what. */
export const securityTasks: readonly Task[] = [
  {
    title: "nobody may do anything",
    files: access("nothing"),
    observe: async (stage) => [await refused(stage, PAGE, "the page is refused", 403)],
  },
  {
    title: "browsers may read the page",
    files: access("nothing", "page"),
    observe: async (stage) => [
      await refused(stage, DETAILS, "details refuse the page, and say by which policy", 403, "allow-nothing"),
      await refused(stage, REVIEWS, "reviews do", 403, "allow-nothing"),
    ],
  },
  {
    title: "the page may read details",
    files: access("nothing", "page", "details"),
    observe: async (stage) => [
      await served(stage, DETAILS, "details are there"),
      await refused(stage, REVIEWS, "reviews still refuse", 403, "allow-nothing"),
    ],
  },
  {
    title: "the page may read reviews",
    files: access("nothing", "page", "details", "reviews"),
    observe: async (stage) => [
      await served(stage, REVIEWS, "reviews are there"),
      await refused(stage, RATED, "ratings refuse reviews v2", 502, "allow-nothing"),
    ],
  },
  {
    title: "reviews may read ratings",
    files: access("nothing", "page", "details", "reviews", "ratings"),
    observe: async (stage) => [
      await served(stage, PAGE, "the whole page is there"),
      await served(stage, `${PAGE}?u=jason`, "jason's is, with stars", "★★★★★"),
    ],
  },
  {
    title: "a token is required",
    files: ["tasks/jason-v2.yaml", "tasks/token.yaml"],
    observe: async (stage) => {
      const { issuer } = stage;
      return [
        await refused(stage, PAGE, "no token", 403),
        await refused(stage, PAGE, "a token that somebody else signed", 401, "", issuer.forge("reader")),
        await refused(stage, PAGE, "no token at all, but a word", 401, "", "sesame"),
        await served(stage, PAGE, "a good token", "The Comedy of Errors", issuer.issue("reader")),
      ];
    },
  },
];

const ask = ({ at }: Stage, path: string, token: string | undefined): Promise<Visit> =>
  visit(at(path), token === undefined ? {} : { authorization: `Bearer ${token}` });

const refused = async (
  stage: Stage,
  path: string,
  promise: string,
  status: number,
  reason = "",
  token?: string,
): Promise<Observation> => {
  const seen = await ask(stage, path, token);
  const told = errorIn(seen);
  return {
    promise,
    seen: `GET ${path}: ${seen.status} ${told === "" ? firstWords(seen.text) : told}`,
    kept: seen.status === status && told.includes(reason),
  };
};

/** Strangers are told no reason; a page that should not be there is shown by its beginning. */
const firstWords = (text: string): string => (text.split("\n", 1)[0] ?? "").slice(0, 60);

const served = async (
  stage: Stage,
  path: string,
  promise: string,
  words = "",
  token?: string,
): Promise<Observation> => {
  const seen = await ask(stage, path, token);
  return {
    promise,
    seen: `GET ${path}: ${seen.status}${words === "" ? "" : `, "${words}" is ${seen.text.includes(words) ? "" : "not "}there`}`,
    kept: seen.status === 200 && seen.text.includes(words),
  };
};
