/** As long as a reason may be. */
const LONGEST_REASON = 500;

/**
 * Why a service has not answered with success: its status, and its reason where it told one. This example shows reasons to whoever
 * reads the page; a page for strangers keeps them in its log.
 */
export const whyNot = async (asked: string, response: Response): Promise<string> => {
  const text = await response.text();
  const reason = reasonIn(text) ?? "";
  return `${asked} answered ${response.status}${reason === "" ? "" : `: ${reason.slice(0, LONGEST_REASON)}`}`;
};

/** The mesh's refusals have a `message`, the answers of this application an `error`. */
const reasonIn = (text: string): string | undefined => {
  try {
    const { message, error } = JSON.parse(text) as { readonly message?: unknown; readonly error?: unknown };
    const reason = message ?? error;
    return typeof reason === "string" ? reason : undefined;
  } catch {
    return undefined;
  }
};
