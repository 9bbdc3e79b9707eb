/**
 * How a header, query parameter or path segment is compared. Exactly one field is set. `regex` is RE2 syntax, matched in
 * full; `present: false` means absent. `invert` turns the answer round.
 */
export type StringMatch =
	| { readonly exact: string; readonly invert?: boolean }
	| { readonly prefix: string; readonly invert?: boolean }
	| { readonly suffix: string; readonly invert?: boolean }
	| { readonly regex: string; readonly invert?: boolean }
	| { readonly present: boolean; readonly invert?: boolean };

/** How a path is compared, without its query. `prefix` ends on segment borders: `/a` matches `/a` and `/a/b`, not `/ab`. */
export type PathMatch =
	| { readonly exact: string }
	| { readonly prefix: string }
	| { readonly regex: string }
	/** Not supported yet. */
	| { readonly template: string };
