// Specs of the journals that the platform creates itself.
import { labelSet, newJournalSpec, type JournalSpec } from "@millrace/protocol";
import type { Config } from "./settings.ts";

/** Bounds of the time for which the fragment of a partition stays open; a spec allows no less than a minute. */
const FLUSH_MS_MIN = 60_000;
const FLUSH_MS_MAX = 60 * 60_000;

export type JournalTemplate = Omit<JournalSpec, "name">;

/** Where persisted fragments are unless `journal.store` says otherwise: below the data directory. */
export const FRAGMENT_STORE = "file:///fragments/";
/** Where staged objects wait for their load unless `staging.store` says otherwise: below the data directory. */
export const STAGING_STORE = "file:///staging/";

function template(config: Config, extra: Partial<JournalTemplate>): JournalTemplate {
  const { name: _name, ...rest } = newJournalSpec({ name: "template/journal" });
  return {
    ...rest,
    replication: 1,
    ...extra,
    fragment: {
      ...rest.fragment,
      length: config["journal.length"],
      compressionCodec: config["journal.codec"],
      stores: [config["journal.store"]],
      refreshIntervalMs: 5 * 60_000,
      flushIntervalMs: 0,
      ...extra.fragment,
    },
  };
}

/** Journals below `examples/`: created by their first append, plain text. */
export function examplesTemplate(config: Config): JournalTemplate {
  return template(config, { labels: labelSet(["content-type", "text/plain"]) });
}

/**
 * Partition journals of sinks. They are kept for hours, not for ever, and compressing them would cost the loop that
 * takes records in more than mapping them does.
 */
export function partitionTemplate(config: Config): JournalTemplate {
  const made = template(config, {
    labels: labelSet(["app.gazette.dev/managed-by", "millrace/ingest"]),
    replication: config["stream.replication"],
  });
  // An open fragment is not removed, however old: that of a slow partition is closed in time (D27).
  const flushIntervalMs = Math.min(FLUSH_MS_MAX, Math.max(FLUSH_MS_MIN, config["stream.retention"]));
  return {
    ...made,
    fragment: { ...made.fragment, compressionCodec: config["stream.codec"], flushIntervalMs },
  };
}
