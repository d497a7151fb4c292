import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OrderedMap } from "./ordered-map.ts";

const name = fc.integer({ min: 0, max: 3000 }).map((n) => `k${n.toString(36)}`);
const step = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), name }),
  fc.record({ kind: fc.constant("delete" as const), name }),
  // Long runs make chunks split and join.
  fc.record({
    kind: fc.constantFrom("fill" as const, "empty" as const),
    from: fc.nat(3000),
    count: fc.nat(1500),
  }),
);

test("ordered map: random changes -> what a sorted array says", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 25, size: "max" }),
      fc.array(fc.tuple(name, name), { maxLength: 5 }),
      (steps, ranges) => {
        const map = new OrderedMap<number>();
        const model = new Map<string, number>();
        let counter = 0;
        const set = (name: string): void => {
          map.set(name, ++counter);
          model.set(name, counter);
        };
        for (const step of steps) {
          if (step.kind === "set") set(step.name);
          else if (step.kind === "delete") equal(map.delete(step.name), model.delete(step.name));
          else {
            for (let i = step.from; i < step.from + step.count; i++) {
              const name = `k${i.toString(36)}`;
              if (step.kind === "fill") set(name);
              else equal(map.delete(name), model.delete(name));
            }
          }
          equal(map.size, model.size);
        }
        const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
        deepEqual(scan(map, "", undefined), sorted);
        for (const [begin, end] of ranges) {
          deepEqual(
            scan(map, begin, end),
            sorted.filter(([name]) => name >= begin && name < end),
          );
          equal(map.get(begin), model.get(begin));
        }
      },
    ),
    { numRuns: 60 },
  );
});

function scan(map: OrderedMap<number>, begin: string, end: string | undefined): [string, number][] {
  const found: [string, number][] = [];
  map.scan(begin, end, (value, name) => {
    found.push([name, value]);
    return true;
  });
  return found;
}
