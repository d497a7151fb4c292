// Bounds of the model of the holders rules.
import type { Bounds } from "./holders-state.ts";

/** Every state, in a unit test. */
export const TINY: Bounds = {
  tokens: 1,
  routes: 2,
  crashes: 1,
  attempts: 2,
  closes: 1,
  persists: 0,
  late: false,
  keepers: 3,
};

/** Every state. */
export const SMALL: Bounds = {
  tokens: 2,
  routes: 2,
  crashes: 1,
  attempts: 2,
  closes: 1,
  persists: 1,
  late: true,
  keepers: 3,
};

/** For walks. */
export const LARGE: Bounds = {
  tokens: 9,
  routes: 7,
  crashes: 3,
  attempts: 12,
  closes: 2,
  persists: 5,
  late: true,
  keepers: 3,
};

/** For walks in which one broker keeps no list. */
export const MIXED: Bounds = { ...LARGE, keepers: 2 };
