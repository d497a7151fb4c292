// To whom a replica listens (durability.md D10a, D12). Each request of a primary names the epoch of its activation, its
// stream, and what it wants. Pure.
//
//  B1  An epoch once heard of is never gone below: a request of an older one is refused.
//  B2  Within an epoch, a stream once heard of is never gone below. Bringing replaces bytes: a request that was sent
//      before its primary gave up, and comes late, would take back what was acknowledged since.
//  B3  Appends are taken only on the stream that brought this replica to the primary's bytes, in this life of the
//      process: after a restart the primary has to bring it anew.
//  B4  A restarted process does not answer before it has loaded the keyspace, at a revision not below that of its own
//      announcement, and takes no request of an older epoch, whatever its route: in its earlier life it may have been
//      fenced, or have committed, at any of them. A primary whose route goes on begins a new attempt.
//  B5  What a member has said that it has on a void list, it must have still when it goes on: one that restarted since
//      has to be asked anew.
//  B6  A member that says with the list that nobody is needed takes appends on no stream that it has heard of: whoever
//      wrote the list before that, and has not begun to append, activates the route again.

/** What a replica remembers of streams; lost by a restart. */
export interface Binding {
  readonly epoch: number;
  readonly stream: number;
  /** Whether that stream brought this replica. */
  readonly isBrought: boolean;
}

export interface BoundRequest {
  readonly epoch: number;
  readonly stream: number;
  /** `level`: a bring on a void list, after the member was asked what it has. */
  readonly wants: "fence" | "bring" | "level" | "append";
}

/** What this replica's keyspace shows. */
export interface RouteView {
  readonly revision: number;
  /** Whether the journal's route there is the one that the request names. */
  readonly isSameRoute: boolean;
}

/** `wait`: until the keyspace has the request's epoch. Wrong route: the primary reads through. Wrong stream: anew. */
export type BoundAnswer = "take" | "wait" | "WRONG_ROUTE" | "WRONG_STREAM";

/** @param revision at which the keyspace was loaded (B4) */
export function afterLoad(revision: number): Binding {
  return { epoch: revision, stream: 0, isBrought: false };
}

export function answerBound(binding: Binding, view: RouteView, request: BoundRequest): BoundAnswer {
  const { epoch, stream, wants } = request;
  if (epoch < binding.epoch) return "WRONG_ROUTE"; // B1
  if (view.revision < epoch) return "wait";
  if (!view.isSameRoute) return "WRONG_ROUTE";
  const isSame = epoch === binding.epoch && stream === binding.stream;
  if (wants === "level") return isSame ? "take" : "WRONG_STREAM"; // B5
  if (wants === "append") return isSame && binding.isBrought ? "take" : "WRONG_STREAM"; // B3
  return isSame || isLater(request, binding) ? "take" : "WRONG_STREAM"; // B2
}

/** What the replica remembers once it took a request. */
export function bind(binding: Binding, { epoch, stream, wants }: BoundRequest): Binding {
  const isSame = epoch === binding.epoch && stream === binding.stream;
  return {
    epoch,
    stream,
    isBrought: wants === "bring" || wants === "level" || (isSame && binding.isBrought),
  };
}

/** The keyspace shows another route (D12): partial content is rolled back, the spool is free, old streams end. */
export function routeSeen(binding: Binding, revision: number): Binding {
  return revision <= binding.epoch ? binding : { epoch: revision, stream: 0, isBrought: false };
}

/** B6, and B2: nor does what comes late of the stream change anything. */
export function retired({ epoch, stream }: Binding): Binding {
  return { epoch, stream: stream + 1, isBrought: false };
}

function isLater(request: BoundRequest, binding: Binding): boolean {
  return (
    request.epoch > binding.epoch || (request.epoch === binding.epoch && request.stream > binding.stream)
  );
}
