// Which partition journals have rows outside the warehouse, read straight from what the coordination store holds: for
// whoever looks at it while no platform runs.
import { WireError } from "@millrace/base";
import { DEFINITION_PREFIX } from "./definition-keys.ts";
import { sinkPath } from "./definitions.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import { sinkKeyIn } from "./storage-codec.ts";

/** Where definitions of sinks and all their versions stand. */
export const SINKS_PREFIX = `${DEFINITION_PREFIX}sink/`;

/**
 * @param values what stands below SINKS_PREFIX
 * @param onUnreadable told of definitions that cannot be decoded: theirs are left out
 * @returns whether a partition journal is of a sink that has, or once had, another target than the warehouse
 */
export function loadsElsewhere(
  values: Iterable<{ readonly key: string; readonly value: Uint8Array }>,
  onUnreadable: (error: WireError) => void,
): (journal: string) => boolean {
  const sinks = new Set<string>();
  for (const { key, value } of values) {
    try {
      const fields = new JsonFields(parseJson(value, key), key);
      if (fields.object("table").text("type") !== "duckdb") sinks.add(sinkPath(sinkKeyIn(fields)));
    } catch (thrown) {
      onUnreadable(WireError.from(thrown));
    }
  }
  return (journal) => {
    // A sink's later lives have a number behind its path: no ID has a dot.
    const path = /^stream\/([^.]+?)(?:\.\d+)?\/p\d+$/.exec(journal)?.[1];
    return path !== undefined && sinks.has(path);
  };
}
