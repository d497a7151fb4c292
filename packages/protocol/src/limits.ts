// Bounds of the data model. The comment says whose bound it is: "model" ones are part of the protocol that other
// implementations enforce too, "ours" protect this implementation.

/** Model: bytes of a journal name without its metadata, and of the metadata. */
export const JOURNAL_NAME_BYTES = { min: 4, max: 512 } as const;
/** Model. */
export const LABEL_NAME_BYTES = { min: 2, max: 64 } as const;
/** Model. */
export const LABEL_VALUE_BYTES = { min: 0, max: 1024 } as const;
/** Model. */
export const ZONE_BYTES = { min: 1, max: 32 } as const;
/** Model. */
export const SUFFIX_BYTES = { min: 4, max: 128 } as const;
/** Model. */
export const PATH_POSTFIX_BYTES = { min: 0, max: 512 } as const;
/** Model: 1 KiB to 16 GiB. */
export const FRAGMENT_LENGTH_BYTES = { min: 1024, max: 2 ** 34 } as const;
/** Model: one second to one day. */
export const REFRESH_INTERVAL_MS = { min: 1000, max: 24 * 3_600_000 } as const;
/** Model: one minute; 0 turns flushing off. */
export const FLUSH_INTERVAL_MS_MIN = 60_000;
/** Model. */
export const REPLICATION_MAX = 5;
/** Model. */
export const JOURNAL_LIMIT_MAX = 131_072;
/** Model. */
export const PAGE_LIMIT_MAX = 10_000;

/** Ours: characters of a selector's text. */
export const SELECTOR_CHARS_MAX = 1 << 16;
/** Ours: characters of a path postfix template. */
export const TEMPLATE_CHARS_MAX = 4096;
/** Ours: nodes that the evaluation of one visits, times round a loop included. */
export const TEMPLATE_STEPS_MAX = 10_000;
/** Ours: characters that one gives, at any time. A path has 512 bytes at most. */
export const TEMPLATE_OUTPUT_CHARS_MAX = 1 << 16;
/** Ours: nesting of a journalspace tree. Names have at most 256 components. */
export const TREE_DEPTH_MAX = 512;
