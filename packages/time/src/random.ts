/** Where chance comes from: a number from 0 (included) to 1 (excluded). Production hands in `Math.random`. */
export type Random = () => number;
