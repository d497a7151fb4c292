// Specs of the journals that the platform creates itself.
import { labelSet, newJournalSpec, type JournalSpec } from "@millrace/protocol";
import type { Config } from "./settings.ts";

export type JournalTemplate = Omit<JournalSpec, "name">;

/** Where `up` keeps persisted fragments: below the data directory. */
export const FRAGMENT_STORE = "file:///fragments/";
/** Where staged objects wait for their load. */
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
      stores: [FRAGMENT_STORE],
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
  const made = template(config, { labels: labelSet(["app.gazette.dev/managed-by", "millrace/ingest"]) });
  return { ...made, fragment: { ...made.fragment, compressionCodec: config["stream.codec"] } };
}
