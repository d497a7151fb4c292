// What is in force for a sink: its own definition and what its source says for all its sinks. Nothing of it is stored
// in the sink, so that one small transaction changes a source with a hundred sinks (D26), and undoing that restores
// what was there: a sink that was disabled by itself stays so when its source is enabled.
import { settingsInForce } from "./definition-settings.ts";
import type { EffectiveSink, SinkDefinition, SourceDefinition } from "./definitions.ts";

type OfSource = Pick<SourceDefinition, "settings" | "disabled" | "deleted"> | undefined;

/** @param source also one that is deleted; undefined when it is not known */
export function effectiveSink(sink: SinkDefinition, source: OfSource): EffectiveSink {
  const disabled = disabledOf(sink, source);
  const deleted = deletedOf(sink, source);
  const { conditions, waitForAppend, quotaBytes, deadLetters } = settingsInForce({
    ...source?.settings,
    ...sink.settings,
  });
  return {
    ...sink,
    conditions,
    waitForAppend,
    quotaBytes,
    deadLetters,
    ...(disabled === undefined ? {} : { disabled }),
    ...(deleted === undefined ? {} : { deleted }),
  };
}

export function disabledOf(
  sink: Pick<SinkDefinition, "disabled">,
  source: Pick<SourceDefinition, "disabled"> | undefined,
): SinkDefinition["disabled"] {
  if (sink.disabled !== undefined || source?.disabled === undefined) return sink.disabled;
  return { ...source.disabled, reason: "Auto-disabled with the parent source." };
}

export function deletedOf(
  sink: Pick<SinkDefinition, "deleted">,
  source: Pick<SourceDefinition, "deleted"> | undefined,
): SinkDefinition["deleted"] {
  return sink.deleted ?? source?.deleted;
}
