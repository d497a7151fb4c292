// What the management dialog can be about, and how it stands in the page's address:
// `#sources?source=orders&sink=main&tab=versions`.

export const SOURCE_TABS = ["definition", "settings", "versions"] as const;
export const SINK_TABS = [
  "definition",
  "settings",
  "versions",
  "statistics",
  "files",
  "dead-letters",
] as const;
export type ManageTab = (typeof SINK_TABS)[number];

export type ManagePlace =
  | { readonly kind: "new-source" | "deleted" | "tasks" | "tokens" }
  | { readonly kind: "new-sink"; readonly sourceId: string }
  | { readonly kind: "source"; readonly sourceId: string; readonly tab: ManageTab }
  | { readonly kind: "sink"; readonly sourceId: string; readonly sinkId: string; readonly tab: ManageTab };

const OTHERS = ["new-source", "deleted", "tasks", "tokens"] as const;

export function tabsOf(place: ManagePlace): readonly ManageTab[] {
  if (place.kind === "source") return SOURCE_TABS;
  return place.kind === "sink" ? SINK_TABS : [];
}

/** @returns undefined when the members name no place of the dialog */
export function parseManagePlace(members: URLSearchParams): ManagePlace | undefined {
  const open = members.get("open");
  const other = OTHERS.find((kind) => kind === open);
  if (other !== undefined) return { kind: other };
  const sourceId = members.get("source");
  if (sourceId === null || sourceId === "") return undefined;
  if (open === "new-sink") return { kind: "new-sink", sourceId };
  const sinkId = members.get("sink");
  const wanted = members.get("tab");
  const tab = (tabs: readonly ManageTab[]): ManageTab => tabs.find((one) => one === wanted) ?? "definition";
  if (sinkId === null || sinkId === "") return { kind: "source", sourceId, tab: tab(SOURCE_TABS) };
  return { kind: "sink", sourceId, sinkId, tab: tab(SINK_TABS) };
}

export function managePlaceMembers(place: ManagePlace): URLSearchParams {
  const members = new URLSearchParams();
  if (place.kind !== "source" && place.kind !== "sink") members.set("open", place.kind);
  if ("sourceId" in place) members.set("source", place.sourceId);
  if (place.kind === "sink") members.set("sink", place.sinkId);
  if ("tab" in place && place.tab !== "definition") members.set("tab", place.tab);
  return members;
}
