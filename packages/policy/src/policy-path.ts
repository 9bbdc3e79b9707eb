/** The way to a field as its steps: `["rules", 0, "match", 1, "headers", "end-user"]`. */
export type PolicyPath = readonly (string | number)[];

const plainKey = /^[A-Za-z_$][\w$-]*$/;

/** Prints a way as people read it: `rules[0].match[1].headers.end-user`; unusual keys are quoted in brackets. */
export const formatPath = (path: PolicyPath): string =>
  path
    .map((step, at) => {
      if (typeof step === "number") return `[${step}]`;
      if (!plainKey.test(step)) return `[${JSON.stringify(step)}]`;
      return at === 0 ? step : `.${step}`;
    })
    .join("");

const step = /\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.?([A-Za-z_$][\w$-]*)/y;

/** Reads what {@link formatPath} printed. Stops at what it cannot read, so that a way leads at least near its field. */
export const parsePath = (text: string): PolicyPath => {
  const path: (string | number)[] = [];
  step.lastIndex = 0;
  while (step.lastIndex < text.length) {
    const found = step.exec(text);
    if (found === null) break;
    const [, index, quoted, plain] = found;
    if (index !== undefined) path.push(Number(index));
    // What stands in the quotes was printed by JSON.stringify.
    else path.push(quoted === undefined ? (plain ?? "") : (JSON.parse(quoted) as string));
  }
  return path;
};
