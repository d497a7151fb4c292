// IDs of sources and sinks (specification 1.7): a given one is normalised, a missing one is made from the name.

/**
 * Words of `text` in lower case, joined by hyphens: a lower case letter before an upper case one ends a word, accents
 * go, whatever is no letter or digit becomes a hyphen. May be empty, and longer than an ID may be.
 */
export function normaliseId(text: string): string {
  return text
    .replace(/(\p{Ll})(\p{Lu})/gu, "$1-$2")
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1-$2")
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-zA-Z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .toLowerCase();
}
