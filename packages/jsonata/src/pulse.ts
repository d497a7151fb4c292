// What the thread that evaluates and the one that watches it share: which evaluation is under way.
//
// [0] 0: idle, otherwise a number that is another one for each evaluation

export const IDLE = 0;
const MAX = 0x7fffffff;

export interface Pulse {
  readonly buffer: SharedArrayBuffer;
  /** Another evaluation begins. */
  beat(): void;
  /** None is under way. */
  rest(): void;
}

export function pulseOf(buffer: SharedArrayBuffer): Pulse {
  const cells = new Int32Array(buffer);
  let count = 0;
  return {
    buffer,
    beat: () => {
      count = count === MAX ? 1 : count + 1;
      const wasIdle = Atomics.exchange(cells, 0, count) === IDLE;
      if (wasIdle) Atomics.notify(cells, 0);
    },
    rest: () => void Atomics.store(cells, 0, IDLE),
  };
}
