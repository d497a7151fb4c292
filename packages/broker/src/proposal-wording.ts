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
  type LabelSet,
  type ReplicateRequest,
} from "@millrace/protocol";
import { crc32c } from "@millrace/wal";

/** The fragment that peers have been told of. */
export interface ProposedRange {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  readonly codec: CompressionCodec;
}

export interface ProposalWording {
  /** Whether the last content goes with its proposal. */
  readonly isWhole: boolean;
  /** The fragment is a new one, and empty. */
  rolled(): void;
  /** What is sent from now on may be taken back. */
  mark(): void;
  /** It is not. */
  keep(): void;
  /** Takes it back. */
  rollback(range: ProposedRange, registers: LabelSet): Partial<ReplicateRequest>;
  /** More content. */
  content(bytes: Uint8Array): void;
  /** Of all content up to `range.end`. */
  proposal(range: ProposedRange, registers: LabelSet): Partial<ReplicateRequest>;
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

  rollback(range: ProposedRange, registers: LabelSet): Partial<ReplicateRequest> {
    this.#sums = this.#sumsBefore!;
    this.#sumsBefore = undefined;
    return this.proposal(range, registers);
  }

  content(bytes: Uint8Array): void {
    this.#sums.update(bytes);
  }

  proposal({ journal, begin, end, codec }: ProposedRange, registers: LabelSet): Partial<ReplicateRequest> {
    const sum = begin === end ? ZERO_SHA1 : this.#sums.hex();
    return { proposal: newFragment({ journal, begin, end, sum, compressionCodec: codec }), registers };
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

  rollback(): Partial<ReplicateRequest> {
    this.#checksum = 0;
    return { rollback: true };
  }

  content(bytes: Uint8Array): void {
    this.#checksum = crc32c(bytes, this.#checksum);
  }

  proposal({ end }: ProposedRange, registers: LabelSet): Partial<ReplicateRequest> {
    const checksum = this.#checksum;
    this.#checksum = 0;
    if (registers === this.#registers) return { commit: end, checksum };
    this.#registers = registers;
    return { commit: end, checksum, registers };
  }
}
