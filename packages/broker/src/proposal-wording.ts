// How peers are told what they should have: in Gazette's words, or in those of brokers that keep lists of holders.
//
//   Gazette's   content, then the fragment as it is with it: its range and the SHA-1 of all its bytes
//   ours        the end of the journal and the CRC-32C of the content since the last proposal, content and all in one
//               message: both sides began the stream equal (D10, D11), so that each step says the whole
//
// The sums of a fragment cost four native hashes for each proposal, more than all else that is done for it.
import { RunningSha1 } from "@millrace/fragments";
import {
  newFragment,
  ZERO_SHA1,
  type CompressionCodec,
  type emptyReplication,
  type LabelSet,
} from "@millrace/protocol";
import { crc32c } from "@millrace/wal";

/** The fragment that peers have been told of. */
export interface ProposedRange {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  readonly codec: CompressionCodec;
}

type EmptyRequest = ReturnType<typeof emptyReplication>;

export interface ProposalWording {
  /** Whether the last content goes with its proposal. */
  readonly isWhole: boolean;
  /** The fragment is a new one, and empty. */
  rolled(): void;
  /** What is sent from now on may be taken back. */
  mark(): void;
  /** It is not. */
  keep(): void;
  /** Takes it back: fills the request in. */
  rollback(request: EmptyRequest, range: ProposedRange, registers: LabelSet): void;
  /** More content. */
  content(bytes: Uint8Array): void;
  /** Proposes all content up to `range.end`: fills the request in. */
  propose(request: EmptyRequest, range: ProposedRange, registers: LabelSet): void;
}

/** Gazette's. */
export class FragmentWording implements ProposalWording {
  readonly isWhole = false;
  #sums = new RunningSha1();
  #sumsBefore: RunningSha1 | undefined;

  rolled(): void {
    this.#sums = new RunningSha1();
  }

  mark(): void {
    this.#sumsBefore = this.#sums.copy();
  }

  keep(): void {
    this.#sumsBefore = undefined;
  }

  rollback(request: EmptyRequest, range: ProposedRange, registers: LabelSet): void {
    this.#sums = this.#sumsBefore!;
    this.#sumsBefore = undefined;
    this.propose(request, range, registers);
  }

  content(bytes: Uint8Array): void {
    this.#sums.update(bytes);
  }

  propose(request: EmptyRequest, { journal, begin, end, codec }: ProposedRange, registers: LabelSet): void {
    const sum = begin === end ? ZERO_SHA1 : this.#sums.hex();
    request.proposal = newFragment({ journal, begin, end, sum, compressionCodec: codec });
    request.registers = registers;
  }
}

/** Ours. */
export class CommitWording implements ProposalWording {
  readonly isWhole = true;
  /** Of the content since the last proposal. */
  #checksum = 0;
  /** That the peers have. */
  #registers: LabelSet;

  constructor(registers: LabelSet) {
    this.#registers = registers;
  }

  rolled(): void {
    this.#checksum = 0;
  }

  mark(): void {
    this.#checksum = 0;
  }

  keep(): void {}

  rollback(request: EmptyRequest): void {
    this.#checksum = 0;
    request.rollback = true;
  }

  content(bytes: Uint8Array): void {
    this.#checksum = crc32c(bytes, this.#checksum);
  }

  propose(request: EmptyRequest, { end }: ProposedRange, registers: LabelSet): void {
    request.commit = end;
    request.checksum = this.#checksum;
    this.#checksum = 0;
    if (registers === this.#registers) return;
    this.#registers = registers;
    request.registers = registers;
  }
}
