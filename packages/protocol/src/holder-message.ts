// What brokers that keep lists of holders ask of each other (durability.md D10): a service of our own, beside the
// protocol's. A primary fences a holder, asks a member what it has, or brings it to what another one has, and members
// fetch bytes, or their digest, from each other.
//
//   HoldRequest    1 journal string · 2 create_revision int64 · 3 header Header · 4 epoch int64 · 5 stream int64 ·
//                  6 wants enum · 7 begin int64 · 8 end int64 · 9 source ProcessSpec · 10 registers LabelSet
//   HoldResponse   1 outcome enum · 2 header Header · 3 base int64 · 4 confirmed int64 · 5 end int64 ·
//                  6 registers LabelSet · 7 sure repeated HeldRange · 8 whole int64 · 9 isUnsure bool · 10 found int64
//   HeldRange      1 begin int64 · 2 end int64
//   FetchRequest   1 journal string · 2 create_revision int64 · 3 begin int64 · 4 end int64
//   FetchResponse  1 content bytes
//   DigestResponse 1 sha256 string
import {
  bool,
  codecs,
  enumeration,
  int64,
  invalid,
  message,
  nested,
  optional,
  bytes,
  repeated,
  string,
  within,
} from "@millrace/protobuf";
import { validateJournalName } from "./journal-name.ts";
import { labelSetMessage, validateLabelSet, type LabelSet } from "./label-set.ts";
import { processSpecMessage, validateEndpoint, validateProcessId, type ProcessSpec } from "./process.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import type { Rpc } from "./journal-service.ts";

export const HOLD_WANTS = { FENCE: 0, ASK: 1, BRING: 2, LEVEL: 3 } as const;
export type HoldWants = keyof typeof HOLD_WANTS;

export const HOLD_OUTCOME = { TAKEN: 0, WRONG_ROUTE: 1, WRONG_STREAM: 2, NOT_HELD: 3, DIFFERENT: 4 } as const;
export type HoldOutcome = keyof typeof HOLD_OUTCOME;

export interface HoldRequestMessage {
  readonly journal: string;
  readonly createRevision: number;
  /** The primary's, with its route; its process id is that of who is asked. */
  readonly header: Header;
  readonly epoch: number;
  readonly stream: number;
  readonly wants: HoldWants;
  /** Of a bring, and what follows too. */
  readonly begin: number;
  readonly end: number;
  /** Who has the bytes; absent: nothing is to be copied. */
  readonly source?: ProcessSpec;
  readonly registers: LabelSet;
}

export interface HeldRange {
  readonly begin: number;
  readonly end: number;
}

export interface HoldResponseMessage {
  readonly outcome: HoldOutcome;
  /** Of who refuses. */
  readonly header?: Header;
  readonly base: number;
  readonly confirmed: number;
  readonly end: number;
  readonly registers: LabelSet;
  readonly sure: readonly HeldRange[];
  /** Epoch under which it was brought last, with nothing lost since; 0: something may have been lost. */
  readonly whole: number;
  /** It does not know the registers at `end`: those here say nothing. */
  readonly isUnsure: boolean;
  /** Epoch of what a restart found, until it is brought; else 0. */
  readonly found: number;
}

export interface FetchRequestMessage extends HeldRange {
  readonly journal: string;
  readonly createRevision: number;
}

export interface FetchResponseMessage {
  readonly content: Uint8Array;
}

export interface DigestResponseMessage {
  /** 64 hex digits. */
  readonly sha256: string;
}

const rangeMessage = message<HeldRange>({ begin: int64(1), end: int64(2) });

const holdRequest = codecs(
  message<HoldRequestMessage>({
    journal: string(1),
    createRevision: int64(2),
    header: nested(3, headerMessage),
    epoch: int64(4),
    stream: int64(5),
    wants: enumeration(6, HOLD_WANTS, "wants"),
    begin: int64(7),
    end: int64(8),
    source: optional(9, processSpecMessage),
    registers: nested(10, labelSetMessage),
  }),
);

const holdResponse = codecs(
  message<HoldResponseMessage>({
    outcome: enumeration(1, HOLD_OUTCOME, "outcome"),
    header: optional(2, headerMessage),
    base: int64(3),
    confirmed: int64(4),
    end: int64(5),
    registers: nested(6, labelSetMessage),
    sure: repeated(7, rangeMessage),
    whole: int64(8),
    isUnsure: bool(9),
    found: int64(10),
  }),
);

const fetchRequest = codecs(
  message<FetchRequestMessage>({
    journal: string(1),
    createRevision: int64(2),
    begin: int64(3),
    end: int64(4),
  }),
);
const fetchResponse = codecs(message<FetchResponseMessage>({ content: bytes(1) }));
const digestResponse = codecs(message<DigestResponseMessage>({ sha256: string(1) }));

const hold: Rpc<HoldRequestMessage, HoldResponseMessage> = {
  path: "/millrace.Holder/Hold",
  requests: "one",
  responses: "one",
  encodeRequest: holdRequest.encode,
  decodeRequest: holdRequest.decode,
  encodeResponse: holdResponse.encode,
  decodeResponse: holdResponse.decode,
};

const fetch: Rpc<FetchRequestMessage, FetchResponseMessage> = {
  path: "/millrace.Holder/Fetch",
  requests: "one",
  responses: "stream",
  encodeRequest: fetchRequest.encode,
  decodeRequest: fetchRequest.decode,
  encodeResponse: fetchResponse.encode,
  decodeResponse: fetchResponse.decode,
};

const digest: Rpc<FetchRequestMessage, DigestResponseMessage> = {
  path: "/millrace.Holder/Digest",
  requests: "one",
  responses: "one",
  encodeRequest: fetchRequest.encode,
  decodeRequest: fetchRequest.decode,
  encodeResponse: digestResponse.encode,
  decodeResponse: digestResponse.decode,
};

/** The methods of `millrace.Holder`. */
export const HOLDER_SERVICE = { hold, fetch, digest } as const;

/** @throws {ValidationError} */
export function validateHoldRequest(request: HoldRequestMessage): void {
  const { header, source, registers, epoch, stream } = request;
  validateLife(request);
  within("Header", () => validateHeader(header));
  for (const [name, value] of Object.entries({ Epoch: epoch, Stream: stream })) {
    if (value <= 0) invalid(`invalid ${name} (${value}; expected > 0)`);
  }
  if (source !== undefined) {
    within("Source", () => validateProcessId(source.id));
    within("Source", () => validateEndpoint(source.endpoint));
  }
  within("Registers", () => validateLabelSet(registers));
  validateRange(request);
}

/** @throws {ValidationError} */
export function validateFetchRequest(request: FetchRequestMessage): void {
  validateLife(request);
  validateRange(request);
}

/** @throws {ValidationError} */
export function validateHoldResponse({ base, confirmed, end, registers, sure }: HoldResponseMessage): void {
  for (const [name, value] of Object.entries({ Base: base, Confirmed: confirmed, End: end })) {
    if (value < 0) invalid(`invalid ${name} (${value}; expected >= 0)`);
  }
  within("Registers", () => validateLabelSet(registers));
  let before = 0;
  for (const range of sure) {
    validateRange(range);
    if (range.begin < before) invalid(`ranges overlap at ${range.begin}`);
    before = range.end;
  }
}

function validateLife({ journal, createRevision }: { journal: string; createRevision: number }): void {
  within("Journal", () => validateJournalName(journal));
  if (createRevision <= 0) invalid(`invalid CreateRevision (${createRevision}; expected > 0)`);
}

function validateRange({ begin, end }: HeldRange): void {
  if (begin < 0 || end < begin) invalid(`invalid range ([${begin}, ${end}); expected 0 <= begin <= end)`);
}
