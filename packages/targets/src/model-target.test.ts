// The model that simulations load into obeys what real targets do.
import { never, systemClock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { LoadOutcome, LoadRequest, Target } from "@millrace/ingest";
import { ModelTarget } from "@millrace/ingest/testkit";
import { memoryStore } from "@millrace/stores/testkit";
import { targetConformance, type TargetSubject } from "./target-conformance.ts";

function subject(): Promise<TargetSubject> {
  const random = seededRandom("conformance");
  const staging = memoryStore({ clock: systemClock, random });
  const model = new ModelTarget({ stagingStore: staging, clock: systemClock, random });
  const target: Target = {
    check: () => model.check(),
    prepare: (tableId, columns) => model.prepare(tableId, columns),
    drop: (tableId, journals) => model.drop(tableId, journals),
    loadedEnds: (tableId) => model.loadedEnds(tableId, never),
    async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
      try {
        return await model.load(request, signal);
      } finally {
        model.faults = {};
      }
    },
  };
  return Promise.resolve({
    target,
    staging,
    rows: (tableId) => Promise.resolve(model.tables.get(tableId)?.rows ?? []),
    again: () => Promise.resolve(model),
    failNext: (when) => {
      model.faults = { [when]: 1000 };
    },
    close: () => Promise.resolve(),
  });
}

targetConformance("model", { commits: "together", checksTables: false, takesNul: true }, subject);
