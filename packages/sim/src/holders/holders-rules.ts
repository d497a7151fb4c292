// Rules that can be left out of the model, each of which it must then find missing. The rules themselves are the
// broker's code: a variant changes what that code is told, or what becomes of what it decides.

export const VARIANTS = {
  "no-txn": "the list is written without comparing anything",
  "no-list-compare": "the list is written without comparing the list",
  "no-assignments": "the list is written without comparing the assignments",
  "stale-list": "the list is read as it was below the epoch",
  "no-fence": "requests do not bind whom they reach",
  "fence-forgotten": "a restarted broker takes requests of any epoch",
  "no-stream-order": "a replica takes requests of any stream of an epoch",
  "no-replace": "a member that is brought keeps what it holds beyond",
  "cut-whole": "a member that is brought lets go of all that it is brought before it copies",
  "judged-brought": "a member that is brought again lets go of what no list names it for yet",
  "changed-within": "appends before a proposal's last change registers",
  "cut-registers": "a member that lets go of what is other keeps the registers behind that",
  "copied-told": "a member says that it has what it copied of a bring that ended half-way",
  "any-member": "any broker is read instead of a member of the newest segment",
  "adopted-roll-back": "what was brought may be rolled back",
  "begin-at-end": "the new segment begins where the bytes end, confirmed or not",
  "unknown-is-done": "a write of unknown outcome is taken for done",
  "served-unjudged": "leftovers are persisted before the list has judged them",
  "closed-without-end": "a closed list has no end",
  "closed-without-registers": "a closed list has no registers",
  "closed-unretired": "a list is closed, and who has just activated the route here appends",
  "closed-under-append": "a list is closed, and an append that is in the log commits behind its end",
  "dropped-early": "a segment is dropped that the store does not have",
  "taken-unsynced": "members take over a segment of which they were not given all",
  "taken-whole": "members take over all of a segment of which they were given the end",
  "copied-unlisted": "what others have is copied from whoever has something there",
  "left-while-named": "a broker leaves while the list names it",
  "released-forgotten": "a holder does not say what it has given up to the store",
  "void-ignored": "a list is not marked void before a route with a member that keeps none",
  "void-for-closed": "a void list is taken for one that is closed where it became void",
  "restarted-presents": "a member that restarted says on a void list what it has from before",
  "level-leftovers": "who comes back on a void list keeps leftovers below where all go on",
  "level-unjudged": "who comes back on a void list lets go of what the list names it for",
} as const;

export type Variant = keyof typeof VARIANTS;

/** @returns whether `name` is one */
export function isVariant(name: string): name is Variant {
  return Object.hasOwn(VARIANTS, name);
}
