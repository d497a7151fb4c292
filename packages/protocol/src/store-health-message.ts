// FragmentStoreHealth: is a store usable by the brokers.
import type { Status } from "./enums.ts";
import type { Header } from "./route.ts";

export interface FragmentStoreHealthRequest {
  /** URL of the store. */
  readonly fragmentStore: string;
  /** Also try to delete below `checkDeletePrefix`. */
  readonly checkDelete: boolean;
  readonly checkDeletePrefix: string;
}

export interface FragmentStoreHealthResponse {
  readonly status: Status;
  readonly header: Header;
  readonly storeHealthError: string;
}
