// ListFragments: the fragments of one journal, page by page.
import type { Status } from "./enums.ts";
import type { Fragment } from "./fragment.ts";
import type { Header } from "./route.ts";

export interface FragmentsRequest {
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  /** Unix seconds. */
  readonly beginModTime: number;
  /** Unix seconds; 0 = no bound. */
  readonly endModTime: number;
  readonly nextPageToken: number;
  /** 0 = the server's default. */
  readonly pageLimit: number;
  /** Present: sign a URL for each fragment, valid this long. */
  readonly signatureTtlMs?: number;
  readonly doNotProxy: boolean;
}

export interface ListedFragment {
  readonly spec: Fragment;
  /** "" when none was asked for. */
  readonly signedUrl: string;
}

export interface FragmentsResponse {
  readonly status: Status;
  readonly header: Header;
  readonly fragments: readonly ListedFragment[];
  /** 0 = this was the last page. */
  readonly nextPageToken: number;
}
