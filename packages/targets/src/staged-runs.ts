import type { StagedObject } from "@millrace/ingest";

/** Neighbours of one sink version, which go into one statement. */
export function* runsOfOneVersion(objects: readonly StagedObject[]): Iterable<readonly StagedObject[]> {
  let run: StagedObject[] = [];
  for (const object of objects) {
    if (object.rows === 0) continue;
    if (run.length > 0 && run[0]?.sinkVersion !== object.sinkVersion) {
      yield run;
      run = [];
    }
    run.push(object);
  }
  if (run.length > 0) yield run;
}
