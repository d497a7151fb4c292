// Which journals a command works on.
import { WireError } from "@millrace/base";
import { listJournals, type JournalTransport } from "@millrace/client";
import {
  ANY_LABELS,
  parseLabelSelector,
  suspension,
  type LabelSelector,
  type ListedJournal,
} from "@millrace/protocol";

/** @throws {WireError} INVALID_ARGUMENT with the parser's text */
export function selectorOf(text: string | undefined): LabelSelector {
  return text === undefined ? ANY_LABELS : parseLabelSelector(text);
}

/** The journals that a selector matches. @throws {WireError} NOT_FOUND when there are none */
export async function selectedJournals(
  transport: JournalTransport,
  text: string,
  signal: AbortSignal,
): Promise<readonly ListedJournal[]> {
  const { journals } = await listJournals(transport, selectorOf(text), signal);
  if (journals.length === 0) throw new WireError("NOT_FOUND", `no journal matches ${text}`);
  return journals;
}

/** Journals that are not fully suspended: those have neither replicas nor fragments. */
export function awake(journals: readonly ListedJournal[]): readonly ListedJournal[] {
  return journals.filter(({ spec }) => suspension(spec).level !== "FULL");
}

/**
 * Name of the one journal that a selector means. One that it names and that is not there yet is as good: its first
 * append may create it.
 * @throws {WireError} NOT_FOUND, or INVALID_ARGUMENT when it matches several
 */
export async function selectedJournal(
  transport: JournalTransport,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  const selector = selectorOf(text);
  const { journals } = await listJournals(transport, selector, signal);
  if (journals.length === 1) return journals[0]!.spec.name;
  if (journals.length > 1) {
    throw new WireError("INVALID_ARGUMENT", `${text} matches ${journals.length} journals, expected 1`);
  }
  const { labels } = selector.include;
  const [label] = labels;
  if (labels.length === 1 && label?.name === "name" && !label.prefix) return label.value;
  throw new WireError("NOT_FOUND", `no journal matches ${text}`);
}
