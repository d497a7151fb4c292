// The outer messages of a request, the same for all signals: resources with scopes with items. What they hold is opened
// part by part (request-walk.ts).
import { type Message, named, type Unopened, unopened, unopenedOne } from "@millrace/protobuf";
import { otlpMessage, type Resource, resource, type Scope, scope } from "./otlp-values.ts";

/** Items of one scope of one resource. */
interface ScopeParts<I> {
  readonly scope: Unopened<Scope>;
  readonly items: Unopened<I>;
}

interface ResourceParts<I> {
  readonly resource: Unopened<Resource>;
  readonly scopes: Unopened<ScopeParts<I>>;
}

export interface RequestParts<I> {
  readonly groups: Unopened<ResourceParts<I>>;
}

/** Names of the fields, as the .proto has them. */
export interface OutlineNames {
  readonly groups: string;
  readonly scopes: string;
  readonly items: string;
}

/** The table of a request. */
export function requestOf<I>(names: OutlineNames, item: Message<I>): Message<RequestParts<I>> {
  const scopeParts = otlpMessage<ScopeParts<I>>({
    scope: unopenedOne(1, scope),
    items: named(names.items, unopened(2, item)),
  });
  const resourceParts = otlpMessage<ResourceParts<I>>({
    resource: unopenedOne(1, resource),
    scopes: named(names.scopes, unopened(2, scopeParts)),
  });
  return otlpMessage<RequestParts<I>>({ groups: named(names.groups, unopened(1, resourceParts)) });
}
