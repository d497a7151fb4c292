export type { FeedFile, FeedRetry, FeedSink, FeedSlice, FeedSnapshot, FeedSource } from "./feed.ts";

/** Folder of the built page, ending in '/'. */
export const siteUrl: URL = new URL("site/", import.meta.url);
