// FragmentStoreHealth: is a store usable by the brokers.
//
//   FragmentStoreHealthRequest   1 fragment_store string · 2 check_delete bool · 3 check_delete_prefix string
//   FragmentStoreHealthResponse  1 status enum · 2 header Header (always) · 3 store_health_error string
import {
  bool,
  builder,
  codecs,
  invalid,
  jsonCodecs,
  message,
  nested,
  string,
  within,
} from "@millrace/protobuf";
import type { Status } from "./enums.ts";
import { validateFragmentStore } from "./fragment-store.ts";
import { JOURNAL_NAME_BYTES } from "./limits.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";
import { validatePathComponent } from "./token.ts";

export interface FragmentStoreHealthRequest {
  /** URL of the store. */
  readonly fragmentStore: string;
  /** Also try to delete below `checkDeletePrefix`. */
  readonly checkDelete: boolean;
  /** Ends in `/`; "" = the root of the store. */
  readonly checkDeletePrefix: string;
}

export interface FragmentStoreHealthResponse {
  readonly status: Status;
  readonly header: Header;
  readonly storeHealthError: string;
}

const requestMessage = message<FragmentStoreHealthRequest>({
  fragmentStore: string(1),
  checkDelete: bool(2),
  checkDeletePrefix: string(3),
});

const responseMessage = message<FragmentStoreHealthResponse>({
  status: statusField(1),
  header: nested(2, headerMessage),
  storeHealthError: string(3),
});

export const { encode: encodeFragmentStoreHealthRequest, decode: decodeFragmentStoreHealthRequest } =
  codecs(requestMessage);
export const { toJson: fragmentStoreHealthRequestToJson, fromJson: fragmentStoreHealthRequestFromJson } =
  jsonCodecs(requestMessage);
export const newFragmentStoreHealthRequest = builder(requestMessage);

export const { encode: encodeFragmentStoreHealthResponse, decode: decodeFragmentStoreHealthResponse } =
  codecs(responseMessage);
export const { toJson: fragmentStoreHealthResponseToJson, fromJson: fragmentStoreHealthResponseFromJson } =
  jsonCodecs(responseMessage);
export const newFragmentStoreHealthResponse = builder(responseMessage);

/** @throws {ValidationError} */
export function validateFragmentStoreHealthRequest(request: FragmentStoreHealthRequest): void {
  within("FragmentStore", () => validateFragmentStore(request.fragmentStore));
  const prefix = request.checkDeletePrefix;
  if (prefix === "") return;
  within("CheckDeletePrefix", () => {
    if (!request.checkDelete) invalid("cannot be set when CheckDelete is false");
    if (!prefix.endsWith("/")) invalid(`must end in '/' (${prefix})`);
    const path = prefix.slice(0, -1);
    if (path === ".." || path.startsWith("../")) invalid(`cannot traverse outside the store (${prefix})`);
    validatePathComponent(path, { min: 1, max: JOURNAL_NAME_BYTES.max });
  });
}

/** @throws {ValidationError} */
export function validateFragmentStoreHealthResponse(response: FragmentStoreHealthResponse): void {
  within("Status", () => validateStatus(response.status));
  within("Header", () => validateHeader(response.header));
}
