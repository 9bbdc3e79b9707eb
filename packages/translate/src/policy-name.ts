import { createHash } from "node:crypto";

const LONGEST = 63;
const HASH_DIGITS = 8;
const label = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;

/**
 * The name of a policy that is made of a document: the document's own, with an ending where one kind of document could meet
 * another under it. A name that policies cannot have, for it has dots or is too long, is shortened to one that no other
 * document has.
 */
export const policyName = (name: string, ending = ""): string => {
  const wanted = `${name}${ending}`;
  if (wanted.length <= LONGEST && label.test(wanted)) return wanted;
  const hash = createHash("sha256").update(wanted).digest("hex").slice(0, HASH_DIGITS);
  const kept = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, LONGEST - HASH_DIGITS - ending.length - 1)
    .replaceAll(/^-+|-+$/g, "");
  return `${kept === "" ? "x" : kept}-${hash}${ending}`;
};
