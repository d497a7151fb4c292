// Which imports may be under way at the same time: a target that fails or does not answer must not take the room of
// those that work. Pure.
//
// S1 Each place has room of its own; one whose last import failed has room for a single one, which finds out whether it
//    works again.
// S2 There is a bound for all together: each import holds a staged object in memory.
// S3 Failing places together never take more than half of it.
import { CODES, type Code } from "@millrace/base";

export interface ImportBounds {
  /** At the same time into one place. */
  readonly perPlace: number;
  /** At the same time into all. */
  readonly total: number;
}

export const IMPORT_BOUNDS: ImportBounds = { perPlace: 4, total: 64 };

/** A share of S2. */
const FAILING_SHARE = 0.5;

interface Place {
  running: number;
  isFailing: boolean;
}

export class ImportSlots {
  readonly #bounds: ImportBounds;
  /** Those with imports under way, and those that failed last: as many as sinks name. */
  readonly #places = new Map<string, Place>();
  #running = 0;

  constructor(bounds: ImportBounds) {
    this.#bounds = bounds;
  }

  /** Whether there is room for an import into `place`. */
  hasRoom(place: string): boolean {
    const { perPlace, total } = this.#bounds;
    if (this.#running >= total) return false;
    const { running, isFailing } = this.#places.get(place) ?? { running: 0, isFailing: false };
    if (!isFailing) return running < perPlace;
    return running === 0 && this.#failing() < total * FAILING_SHARE;
  }

  /** Imports under way and places that fail, of those whose names begin so. */
  count(prefix: string): { readonly running: number; readonly failing: number } {
    let [all, failing] = [0, 0];
    for (const [place, { running, isFailing }] of this.#places) {
      if (!place.startsWith(prefix)) continue;
      all += running;
      if (isFailing) failing++;
    }
    return { running: all, failing };
  }

  begin(place: string): void {
    this.#running++;
    const known = this.#places.get(place);
    if (known === undefined) this.#places.set(place, { running: 1, isFailing: false });
    else known.running++;
  }

  /** @param failure why it did not end well; one that is the file's own says nothing of the place */
  end(place: string, failure: Code | undefined): void {
    const known = this.#places.get(place)!;
    this.#running--;
    known.running--;
    if (failure === undefined) known.isFailing = false;
    else if (isOfPlace(failure)) known.isFailing = true;
    if (known.running === 0 && !known.isFailing) this.#places.delete(place);
  }

  /** Imports into failing places. */
  #failing(): number {
    let count = 0;
    for (const { running, isFailing } of this.#places.values()) if (isFailing) count += running;
    return count;
  }
}

/** Whoever cannot log in there, or gets no answer, is not alone with that. */
function isOfPlace(code: Code): boolean {
  return CODES[code].retry !== "never" || code === "FORBIDDEN";
}
