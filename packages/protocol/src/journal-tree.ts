// Journals as a tree of directories, in which a node inherits what its parent states: how people write and read
// specs. The coordination store has whole specs only, so a tree is pushed down before it is applied, and common
// parts are hoisted before it is shown.
//
// J1  Names are full names at every level. A directory's name is "" or ends in '/'; every other node is a journal.
// J2  pushDown(hoist(tree)) has the journals of tree.
// J3  A field of a child cannot override its parent's back to zero; `suspend` is never inherited.
import { invalid, within } from "@millrace/protobuf";
import { deleteChange, upsertChange, type ApplyChange } from "./apply-message.ts";
import { validateJournalName } from "./journal-name.ts";
import { newJournalSpec, type JournalSpec } from "./journal-spec.ts";
import type { ListResponse } from "./list-message.ts";
import { intersectSpecs, subtractSpecs, unionSpecs } from "./spec-algebra.ts";
import { compareText } from "./text-order.ts";

export interface JournalNode {
  /** For people; ignored. */
  readonly comment: string;
  /** Whether to delete the journal, or all below a directory; undefined = as the parent says. */
  readonly delete: boolean | undefined;
  /** What is stated here; other fields are zero. */
  readonly spec: JournalSpec;
  /** Modification revision that the journal must have: 0 = must not exist, -1 = any. Of directories: 0. */
  readonly revision: number;
  /** Ascending by name. */
  readonly children: readonly JournalNode[];
}

/** A node that states only these fields. */
export function newJournalNode(
  fields: Partial<Omit<JournalNode, "spec">> & { readonly spec?: Partial<JournalSpec> },
): JournalNode {
  return {
    comment: "",
    delete: undefined,
    revision: 0,
    children: [],
    ...fields,
    spec: newJournalSpec(fields.spec ?? {}),
  };
}

export function isDirectory(node: JournalNode): boolean {
  return node.spec.name === "" || node.spec.name.endsWith("/");
}

/** Checks the shape of a tree, not the specs in it, which may be partial. @throws {ValidationError} */
export function validateJournalTree(node: JournalNode): void {
  const { name } = node.spec;
  if (!isDirectory(node)) {
    within("Name", () => validateJournalName(name));
    if (node.children.length > 0) invalid(`expected no Children with non-directory Node (${name})`);
    return;
  }
  if (node.revision !== 0) invalid(`unexpected Revision (${node.revision})`);
  if (node.children.length === 0) invalid("expected one or more Children");
  node.children.forEach((child, i) => {
    const before = node.children[i - 1]?.spec.name;
    if (!child.spec.name.startsWith(name)) {
      invalid(`expected parent Name to prefix child (${name} vs ${child.spec.name})`);
    }
    if (before !== undefined && compareText(before, child.spec.name) >= 0) {
      invalid(`expected Children to be ordered (ind ${i}; ${before} vs ${child.spec.name})`);
    }
    validateJournalTree(child);
  });
}

/** The tree with everything that children inherit stated at the journals, and nothing at the directories. */
export function pushDown(node: JournalNode): JournalNode {
  const children = node.children.map((child) =>
    pushDown({ ...child, delete: child.delete ?? node.delete, spec: unionSpecs(child.spec, node.spec) }),
  );
  if (!isDirectory(node)) return { ...node, children };
  return { ...node, delete: undefined, spec: newJournalSpec({ name: node.spec.name }), children };
}

/** The tree with what all children of a directory state moved up to it, which states nothing itself before. */
export function hoist(node: JournalNode): JournalNode {
  if (!isDirectory(node)) return node;
  const children = node.children.map(hoist);
  const [first] = children;
  if (first === undefined) return node;
  const shared = children.map((child) => child.spec).reduce(intersectSpecs);
  const spec = { ...withoutSuspend(shared), name: node.spec.name };
  const everyDelete = children.every((child) => child.delete === first.delete) ? first.delete : undefined;
  return {
    ...node,
    delete: everyDelete,
    spec,
    children: children.map((child) => ({
      ...child,
      delete: everyDelete === undefined ? child.delete : undefined,
      spec: subtractSpecs(child.spec, spec),
    })),
  };
}

/** The journals of a tree, in its order. */
export function journalsOf(node: JournalNode): readonly JournalNode[] {
  return isDirectory(node) ? node.children.flatMap(journalsOf) : [node];
}

/**
 * Directories over `journals` where they part: a directory for every prefix up to a '/' that two of them share and at
 * which they go different ways. One journal stays by itself; none give the empty node.
 * @param journals with distinct names, in any order
 */
export function treeOf(journals: readonly JournalNode[]): JournalNode {
  if (journals.length === 0) return newJournalNode({});
  return grow([...journals].sort((a, b) => compareText(a.spec.name, b.spec.name)));
}

/** The hoisted tree of a listing, with the revisions that it was listed at. */
export function treeOfListing(listing: Pick<ListResponse, "journals">): JournalNode {
  const journals = listing.journals.map(({ spec, modRevision }) =>
    newJournalNode({ spec, revision: modRevision }),
  );
  return hoist(treeOf(journals));
}

/**
 * What a tree asks for: an upsert or a deletion of each of its journals.
 * @throws {ValidationError} when the tree is malformed; its specs are for validateApplyRequest
 */
export function changesOf(tree: JournalNode): readonly ApplyChange[] {
  validateJournalTree(tree);
  return journalsOf(pushDown(tree)).map((node) =>
    node.delete === true
      ? deleteChange(node.spec.name, node.revision)
      : upsertChange(node.spec, node.revision),
  );
}

/** The tree of two or more sorted journals, or the one journal. */
function grow(journals: readonly JournalNode[]): JournalNode {
  const [first] = journals;
  if (journals.length === 1 && first !== undefined) return first;
  const shared = journals.slice(1).map((node, i) => sharedPrefix(journals[i]!.spec.name, node.spec.name));
  const shortest = shared.reduce((least, length) => Math.min(least, length));
  const starts = [0, ...shared.flatMap((length, i) => (length === shortest ? [i + 1] : []))];
  const children = starts.map((start, i) => grow(journals.slice(start, starts[i + 1])));
  return newJournalNode({ spec: { name: journals[0]!.spec.name.slice(0, shortest) }, children });
}

/** Length of the longest prefix that ends in '/' and that both names have. */
function sharedPrefix(a: string, b: string): number {
  let shared = 0;
  for (let i = 0; i < a.length && a[i] === b[i]; i++) if (a[i] === "/") shared = i + 1;
  return shared;
}

function withoutSuspend(spec: JournalSpec): JournalSpec {
  const { suspend: _, ...rest } = spec;
  return rest;
}
