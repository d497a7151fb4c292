// Every bound of the door, with its reason. What an operator may change is in DoorLimits; DOOR_RANGES says how far.

/** A row is held in memory several times on its way to the table (specification 3.3, encoder.rowSizeLimit). */
export const ROW_BYTES_MAX = 1536 * 1024;

/** Rejections of a batch that are listed in the answer: a body of garbage must not make a larger answer. */
export const REJECTIONS_LISTED_MAX = 1000;

/** A dead letter: of the largest record and head there may be, with what JSON makes of them; a frame holds one. */
export const LETTER_BYTES_MAX = 14 * 1024 * 1024;

/** Rows of a frame: bounds the second line of a frame and the time that one reply waits for others. */
export const FRAME_ROWS_MAX = 16_384;

/** A frame that has so many bytes is sealed: large enough to make headers free, small enough to be gathered twice. */
export const FRAME_SEAL_BYTES = 1024 * 1024;

/** Responses that one connection may have outstanding before it is not read any more. */
export const PIPELINE_MAX = 128;

/** Calls of OTLP on one gRPC connection: an exporter has one or two under way. */
export const OTLP_CALLS_MAX = 100;

export interface DoorLimits {
  /** Head of a request, all headers with their line ends. */
  readonly headBytesMax: number;
  /** Body of a single record, after decompression. */
  readonly recordBytesMax: number;
  /** Body of a batch (NDJSON, JSON array), after decompression. */
  readonly batchBytesMax: number;
  /** Decompressed bytes for each compressed one; a body up to recordBytesMax is not measured. */
  readonly compressionRatioMax: number;
  /** From the first byte of a request, or the opening of the connection, to the end of its head. */
  readonly headTimeoutMs: number;
  /** From the end of the head to the end of the body, and from there to the answer. */
  readonly requestTimeoutMs: number;
  /** Between two requests. */
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  /**
   * Bodies that are being received, all connections together; beyond it reading stops. As many may be gone through in
   * steps; beyond it bodies of many records are refused with 429. As many bytes of
   * compressed bodies may wait to be opened; beyond it those are refused, too.
   */
  readonly receivingBytesMax: number;
  /** Rows that wait for their append, all partitions together; beyond it records are refused with 429. */
  readonly queuedBytesMax: number;
  /** The same of one partition, so that a stuck one does not take all. */
  readonly partitionQueuedBytesMax: number;
}

/** Sources of a door that are ready for records at the same time; another one is compiled anew in some 50 us. */
export const COMPILED_SOURCES_MAX = 10_000;

export const DEFAULT_DOOR_LIMITS: DoorLimits = {
  headBytesMax: 16 * 1024,
  recordBytesMax: 1024 * 1024,
  batchBytesMax: 16 * 1024 * 1024,
  compressionRatioMax: 100,
  headTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  maxConnections: 200_000,
  receivingBytesMax: 256 * 1024 * 1024,
  queuedBytesMax: 256 * 1024 * 1024,
  partitionQueuedBytesMax: 64 * 1024 * 1024,
};

/** Allowed values, inclusive. */
export const DOOR_RANGES: Readonly<Record<keyof DoorLimits, readonly [min: number, max: number]>> = {
  headBytesMax: [1000, 1024 * 1024],
  recordBytesMax: [100, 4 * 1024 * 1024],
  batchBytesMax: [100, 64 * 1024 * 1024],
  compressionRatioMax: [1, 10_000],
  headTimeoutMs: [1000, 60_000],
  requestTimeoutMs: [1000, 60_000],
  idleTimeoutMs: [1000, 60_000],
  maxConnections: [100, 1_000_000],
  receivingBytesMax: [1024 * 1024, 8 * 1024 * 1024 * 1024],
  queuedBytesMax: [1024 * 1024, 8 * 1024 * 1024 * 1024],
  partitionQueuedBytesMax: [1024 * 1024, 8 * 1024 * 1024 * 1024],
};

/** Limits of the configuration (specification 1.7); lengths in characters. */
export const DEFINITION_LIMITS = {
  idLengthMax: 48,
  nameLengthMax: 40,
  descriptionLengthMax: 4096,
  columnsMax: 100,
  templateLengthMax: 4096,
  sourcesPerBranchMax: 100,
  sinksPerSourceMax: 100,
  versionsMax: 1000,
  pageLimitMax: 100,
} as const;
