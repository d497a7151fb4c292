// What a primary does before the first commit on a new route, or on a list that nobody holds (durability.md D10): a
// pure machine; one state for each attempt. Bytes and registers are the shell's, the machine has offsets.
//
//   reading ──► fencing ──► bringing ──► recording ──► active
//    │  │           │         ▲  ▲ │ mixed route          ▲
//    │  └► asking ──┼─────────┘  │ └──────────────────────┘
//    │     (void)   └► blocked   │
//    └───────────────────────────┘ closed                abandoned: from any state but blocked
//
//  H1  The list is read at a revision not below the epoch, and the write of the new one compares the list's revision
//      and the journal's assignments. Both together: a primary of an older route then either wrote before the list was
//      read, or never writes. Else bringing, which comes before the write, replaces what it has committed meanwhile.
//  H2  A member of the newest segment is fenced before it is read; every member of the route is brought, the primary
//      itself too, to what that one has, from `begin` on.
//  H3  `begin` is known to be acknowledged; everything acknowledged is in what is brought.
//      Who knew bytes below to be acknowledged without having them does not get them: the segment then begins where
//      each member has what it promises, and what lies below stays in the segments before.
//  H4  What is brought counts as acknowledged once the list is written, and not before: it is on every member of the
//      segment then, and it may have been acknowledged earlier. It is never rolled back.
//  H5  An attempt that does not know whether its list was written is abandoned; the next one reads the list again.
//  H6  Requests of an attempt carry its epoch and stream; streams of an epoch ascend (route-bound.ts).
//  H7  On a list that is void nobody is fenced: every member says what it has, all go on at the largest end, and
//      nothing is replaced, as brokers do that keep no list (D15). On a mixed route the list stays void.
//  H8  Of a loose segment a member counts that is whole: that has lost nothing since it was brought under the segment's
//      epoch, or a later one. Where none is, all members have to answer, and the largest end wins: each has the begin
//      of the same bytes.
//  H9  An operator may reset the head: without the members of the newest segment that are gone, but never without one
//      that somebody announces and that does not answer: it may show, and persist, what is given up. Of those that
//      answer the largest end wins; where there is none, everybody goes on where the segment begins. Who comes back is
//      named no more. Where there is no list that can be read, one is written that names the route's members (H8).
//  H10 Members that a list written anew names were not brought to its begin: they are brought from there, or from where
//      the source has left bytes to the store, whatever it knows to be acknowledged.
//  H11 Who does not know the registers behind its bytes is not read: another one has to be, unless an operator gives up
//      what nobody knows.
import { assert, unreachable } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import {
  listedAnew,
  newestSegment,
  withSegment,
  type HolderId,
  type HoldersList,
  type PresentedBytes,
  type Segment,
} from "./holders-list.ts";

export interface Attempt {
  /** The revision of the primary's keyspace when the attempt began; not below its own announcement's. */
  readonly epoch: number;
  /** Ascends with the attempts of this process. */
  readonly stream: number;
  readonly self: HolderId;
  /** Of the route, the primary among them. */
  readonly members: readonly HolderId[];
  /** Whether one of them keeps no list. */
  readonly isMixed: boolean;
  /** Whether appends will be acknowledged before they are synced. Default: no. */
  readonly isEarly?: boolean;
  /** An operator gives up what nobody can bring (H9). */
  readonly reset?: HeadReset | undefined;
}

export interface HeadReset {
  /** Where the operator believes that the journal ends. */
  readonly offset: number;
  /** Where what is in the stores, or known to the primary, ends. */
  readonly knownEnd: number;
}

/** What a member has of a journal. */
export interface HeldBytes {
  /** Below it nothing is on the member's disk: what was there is in the store. */
  readonly base: number;
  /** Up to where the member knows bytes to be acknowledged; 0 when a restart has made it forget. */
  readonly confirmed: number;
  readonly end: number;
}

interface FencedHolder {
  readonly member: HolderId;
  /** It does not know the registers behind its bytes (H11). Default: it does. */
  readonly isUnsure?: boolean;
  readonly held: HeldBytes;
}

interface OnList {
  readonly attempt: Attempt;
  /** Undefined: the journal has none yet. */
  readonly list: HoldersList | undefined;
  readonly listRevision: number;
}

interface Brought extends OnList {
  readonly begin: number;
  readonly end: number;
  /** Holders without whom the journal goes on (H9); empty but for a reset. */
  readonly givenUp: readonly HolderId[];
}

export type ActivationState =
  | { readonly kind: "reading"; readonly attempt: Attempt }
  /** `candidates`: members of the newest segment that have not answered. */
  | ({
      readonly kind: "fencing";
      readonly candidates: readonly HolderId[];
      /** Those that are not whole (H8), or unsure (H11). */
      readonly partial: readonly FencedHolder[];
      /** Those that nobody announces, or that have nothing (H9). */
      readonly gone: readonly HolderId[];
    } & OnList)
  /** All members are asked what they have, the list being void. */
  | ({ readonly kind: "asking"; readonly presented: readonly PresentedBytes[] } & OnList)
  /** `next`: the list to be written; undefined on a mixed route. */
  | ({
      readonly kind: "bringing";
      readonly waiting: readonly HolderId[];
      /** From there on each member that was brought has what is promised. */
      readonly heldFrom: number;
      readonly next: HoldersList | undefined;
    } & Brought)
  | ({ readonly kind: "recording"; readonly next: HoldersList } & Brought)
  /** Appends may be committed; everything below `confirmed` counts as acknowledged. */
  | {
      readonly kind: "active";
      readonly attempt: Attempt;
      readonly list: HoldersList;
      readonly listRevision: number;
      readonly confirmed: number;
    }
  /**
   * No holder of the newest bytes can be reached, or the list cannot be read (then there are no holders): appends are
   * refused until one returns, or the head is reset.
   */
  | {
      readonly kind: "blocked";
      readonly attempt: Attempt;
      readonly holders: readonly HolderId[];
      /** Nobody announces any of them, or what they answer is that they have nothing. */
      readonly isGone?: true;
    }
  | { readonly kind: "abandoned"; readonly attempt: Attempt; readonly why: Abandoned };

/**
 * `overtaken`: read through to the newer route. `again`: begin anew, after a pause. `unmarked`: mark the list void
 * first. `unlisted`: write a list that names the members first (H9).
 */
export type Abandoned = "overtaken" | "again" | "unmarked" | "unlisted";

export type ActivationInput =
  | {
      readonly kind: "list-read";
      readonly list: HoldersList | "unreadable" | undefined;
      /** Revision of the key, 0 without one. */
      readonly listRevision: number;
      /** Revision of the store at which it was read. */
      readonly readAt: number;
    }
  /** `whole`: the epoch under which it was brought last, with nothing lost since; else 0. */
  | ({ readonly kind: "fenced"; readonly whole: number } & FencedHolder)
  | ({ readonly kind: "presented" } & PresentedBytes)
  /** `base`: below it the member has nothing. */
  | { readonly kind: "brought"; readonly member: HolderId; readonly base: number }
  /** `isGone`: nobody announces it, or it has nothing of what it promised. */
  | { readonly kind: "unreachable"; readonly member: HolderId; readonly isGone?: boolean }
  /** A member knows a newer route or a newer stream. */
  | { readonly kind: "refused"; readonly member: HolderId }
  | {
      readonly kind: "list-written";
      readonly outcome: "done" | "conflict" | "unknown";
      readonly listRevision: number;
    }
  | { readonly kind: "route-changed" };

export type ActivationEffect =
  | { readonly kind: "read-list"; readonly atLeast: number }
  | { readonly kind: "fence"; readonly member: HolderId }
  | { readonly kind: "ask"; readonly member: HolderId }
  /**
   * The member has what `source` had, and nothing else, in [begin, end), and nothing beyond; synced, with the registers
   * of `source`, or those given. Refused when it has other bytes than `source` at an end that both have, which only a
   * void list can lead to: nobody knows then which were acknowledged.
   */
  | {
      readonly kind: "bring";
      readonly member: HolderId;
      readonly begin: number;
      readonly end: number;
      readonly source: HolderId | undefined;
      readonly registers: LabelSet | undefined;
    }
  /** Compares `listRevision` and the assignments as this attempt knows them. */
  | { readonly kind: "write-list"; readonly next: HoldersList; readonly listRevision: number };

export type ActivationStep = readonly [ActivationState, readonly ActivationEffect[]];

export function startActivation(attempt: Attempt): ActivationStep {
  assert(attempt.members.includes(attempt.self), "the primary is a member of its route");
  return [{ kind: "reading", attempt }, [{ kind: "read-list", atLeast: attempt.epoch }]];
}

export function stepActivation(state: ActivationState, input: ActivationInput): ActivationStep {
  if (state.kind === "abandoned" || state.kind === "blocked") return [state, []];
  if (input.kind === "route-changed" || input.kind === "refused") return abandon(state.attempt, "overtaken");
  switch (state.kind) {
    case "reading":
      assert(input.kind === "list-read", "waits for the list", { input: input.kind });
      return onList(state.attempt, input);
    case "fencing":
      return onFencing(state, input);
    case "asking":
      return onAsking(state, input);
    case "bringing":
      return onBringing(state, input);
    case "recording":
      // Late answers of members that were fenced besides.
      if (input.kind !== "list-written") return ignoreLate(state, input);
      return onWritten(state, input);
    case "active":
      return ignoreLate(state, input);
    default:
      return unreachable(state);
  }
}

function onList(attempt: Attempt, input: Extract<ActivationInput, { kind: "list-read" }>): ActivationStep {
  const { list, listRevision, readAt } = input;
  // H1
  if (readAt < attempt.epoch)
    return [{ kind: "reading", attempt }, [{ kind: "read-list", atLeast: attempt.epoch }]];
  if (attempt.reset !== undefined && (list === undefined || list === "unreadable"))
    return abandon(attempt, "unlisted");
  if (list === "unreadable") return [{ kind: "blocked", attempt, holders: [] }, []];
  if (attempt.isMixed && list?.tail.kind !== "void") return abandon(attempt, "unmarked");
  if ((list?.segments.at(-1)?.epoch ?? 0) > attempt.epoch) return abandon(attempt, "overtaken");
  const on: OnList = { attempt, list, listRevision };
  if (list === undefined) return bring(on, { begin: 0, end: 0 }, undefined, undefined);
  switch (list.tail.kind) {
    case "void":
      return [
        { kind: "asking", ...on, presented: [] },
        attempt.members.map((member) => ({ kind: "ask", member })),
      ];
    case "closed": {
      const { end, registers } = list.tail;
      return bring(on, { begin: end, end }, undefined, registers);
    }
    case "held": {
      const candidates = newestSegment(list)!.members;
      return [
        { kind: "fencing", ...on, candidates, partial: [], gone: [] },
        candidates.map((member) => ({ kind: "fence", member })),
      ];
    }
    default:
      return unreachable(list.tail);
  }
}

function onFencing(
  state: Extract<ActivationState, { kind: "fencing" }>,
  input: ActivationInput,
): ActivationStep {
  const { attempt, list, candidates } = state;
  const newest = newestSegment(list!)!;
  assert(input.kind === "fenced" || input.kind === "unreachable", "waits for a holder", {
    input: input.kind,
  });
  assert(candidates.includes(input.member), "a holder answers", { member: input.member });
  const left = candidates.filter((member) => member !== input.member);
  const isSure = input.kind === "fenced" && input.isUnsure !== true; // H11
  if (isSure && (newest.loose !== true || input.whole >= newest.epoch)) return bringFrom(state, input);
  // H8
  const partial = input.kind === "fenced" ? [...state.partial, input] : state.partial;
  const isGone = input.kind === "unreachable" && input.isGone === true;
  const gone = isGone ? [...state.gone, input.member] : state.gone;
  if (left.length > 0) return [{ ...state, candidates: left, partial, gone }, []];
  const most = partial.reduce<FencedHolder | undefined>(
    (best, one) => (best === undefined || one.held.end > best.held.end ? one : best),
    undefined,
  );
  const isAll = partial.length === newest.members.length && most?.isUnsure !== true;
  if (!isAll && !mayReset(attempt, newest, partial.length + gone.length))
    return [
      {
        ...{ kind: "blocked", attempt, holders: newest.members },
        ...(gone.length === newest.members.length && { isGone: true }),
      },
      [],
    ];
  if (most === undefined) {
    const { begin } = newest;
    return bring(state, { begin, end: begin }, undefined, undefined, { givenUp: gone });
  }
  return bringFrom(state, most, gone);
}

/** H9. Whoever believes that the journal ends elsewhere knows of bytes that would be given up, or that are there. */
function mayReset({ reset }: Attempt, { members, begin }: Segment, accountedFor: number): boolean {
  if (reset === undefined || accountedFor < members.length) return false;
  const { offset, knownEnd } = reset;
  return offset >= knownEnd && offset <= Math.max(knownEnd, begin);
}

function bringFrom(
  state: Extract<ActivationState, { kind: "fencing" }>,
  { member, held }: FencedHolder,
  givenUp: readonly HolderId[] = [],
): ActivationStep {
  const { list } = state;
  // H3: what the segment's begin says, what the member knows, and what it has left to the store.
  const newest = newestSegment(list!)!;
  const known = newest.relisted === true ? 0 : held.confirmed; // H10
  const begin = Math.max(newest.begin, known, held.base);
  assert(held.end >= begin, "a holder has what is acknowledged", { member, begin, end: held.end });
  return bring(state, { begin, end: held.end }, member, undefined, { givenUp });
}

function onAsking(
  state: Extract<ActivationState, { kind: "asking" }>,
  input: ActivationInput,
): ActivationStep {
  const { attempt, list } = state;
  if (input.kind === "unreachable") return abandon(attempt, "again");
  assert(input.kind === "presented", "waits for the members", { input: input.kind });
  assert(list?.tail.kind === "void", "only on a void list all are asked");
  const { member, end, sure } = input;
  const presented = [...state.presented, { member, end, sure }];
  if (presented.length < attempt.members.length) return [{ ...state, presented }, []];
  const head = Math.max(list.tail.begin, ...presented.map((one) => one.end));
  // Whoever begins with nothing has no registers to go on with either.
  const source = presented.find((one) => one.end === head && head > 0)?.member;
  const registers = source === undefined ? list.tail.registers : undefined;
  return bring(state, { begin: head, end: head }, source, registers, { presented });
}

function bring(
  { attempt, list, listRevision }: OnList,
  { begin, end }: { begin: number; end: number },
  source: HolderId | undefined,
  registers: LabelSet | undefined,
  {
    presented = [],
    givenUp = [],
  }: { readonly presented?: readonly PresentedBytes[]; readonly givenUp?: readonly HolderId[] } = {},
): ActivationStep {
  const { members } = attempt;
  const segment = segmentOf(attempt, begin);
  const anew = list?.tail.kind === "void" ? listedAnew(list, presented, segment) : withSegment(list, segment);
  const next = attempt.isMixed ? undefined : anew;
  const brought = { attempt, list, listRevision, begin, end, givenUp };
  return [
    { kind: "bringing", ...brought, waiting: members, heldFrom: begin, next },
    members.map((member) => ({ kind: "bring", member, begin, end, source, registers })),
  ];
}

function onBringing(
  state: Extract<ActivationState, { kind: "bringing" }>,
  input: ActivationInput,
): ActivationStep {
  const { attempt, list, listRevision, begin, end, givenUp, waiting, next } = state;
  // A holder that did not answer in time is not needed any more; a member is.
  if (input.kind === "unreachable" && waiting.includes(input.member)) return abandon(attempt, "again");
  if (input.kind !== "brought") return ignoreLate(state, input);
  const left = waiting.filter((member) => member !== input.member);
  const heldFrom = Math.min(end, Math.max(state.heldFrom, input.base));
  if (left.length > 0) return [{ ...state, waiting: left, heldFrom }, []];
  // H7: there is nothing to be written.
  if (next === undefined) return [{ kind: "active", attempt, list: list!, listRevision, confirmed: end }, []];
  // H3
  const written = heldFrom > begin ? withSegment(list, segmentOf(attempt, heldFrom)) : next;
  return [
    { kind: "recording", attempt, list, listRevision, begin, end, givenUp, next: written },
    [{ kind: "write-list", next: written, listRevision }],
  ];
}

/** Which the attempt writes. */
function segmentOf({ epoch, members, isEarly, isMixed }: Attempt, begin: number): Segment {
  const isLoose = isEarly === true && !isMixed && members.length > 1;
  return { epoch, begin, members, ...(isLoose && { loose: true }) };
}

function onWritten(
  { attempt, next, end }: Extract<ActivationState, { kind: "recording" }>,
  { outcome, listRevision }: Extract<ActivationInput, { kind: "list-written" }>,
): ActivationStep {
  switch (outcome) {
    case "done":
      return [{ kind: "active", attempt, list: next, listRevision, confirmed: end }, []]; // H4
    case "conflict":
      return abandon(attempt, "again");
    case "unknown":
      return abandon(attempt, "again"); // H5
    default:
      return unreachable(outcome);
  }
}

function ignoreLate(state: ActivationState, input: ActivationInput): ActivationStep {
  assert(input.kind === "fenced" || input.kind === "unreachable", "only holders answer late", {
    input: input.kind,
  });
  return [state, []];
}

function abandon(attempt: Attempt, why: Abandoned): ActivationStep {
  return [{ kind: "abandoned", attempt, why }, []];
}
