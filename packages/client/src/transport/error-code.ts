/** The code of a transport's error: its own, else its cause's, else that of the first of several (`AggregateError`). */
export const errorCodeOf = (error: unknown): string | undefined => {
  const own = codeOf(error);
  if (own !== undefined || typeof error !== "object" || error === null) return own;
  const { cause, errors } = error as { cause?: unknown; errors?: unknown };
  const causes = codeOf(cause);
  if (causes !== undefined) return causes;
  return Array.isArray(errors) ? errors.map(codeOf).find((code) => code !== undefined) : undefined;
};

const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
};
