import type { ServedBy } from "./member-process.ts";

/** The answer of `details`. */
export interface Book {
  readonly id: number;
  readonly title: string;
  readonly author: string;
  readonly year: number;
  readonly kind: string;
  readonly pages: number;
  readonly language: string;
  readonly servedBy: ServedBy;
}

/** The answer of `ratings`: stars by reviewer. */
export interface Ratings {
  readonly id: number;
  /** 1 to 5, by the reviewer's name. */
  readonly ratings: Readonly<Record<string, number>>;
  readonly servedBy: ServedBy;
}

/** One opinion of a book. */
export interface Review {
  readonly reviewer: string;
  readonly text: string;
  /** Only where the version of `reviews` knows stars. */
  readonly rating?: { readonly stars: number; readonly color: "black" | "red" };
}

/** The answer of `reviews`. */
export interface Reviews {
  readonly id: number;
  readonly reviews: readonly Review[];
  readonly servedBy: ServedBy;
  /** Who gave the stars, where there are any. */
  readonly ratingsServedBy?: ServedBy;
}
