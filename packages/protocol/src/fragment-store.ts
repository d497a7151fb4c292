// URLs of fragment stores: which schemes there are and what must be in them. The query is for the store that opens it.
import { invalid } from "@millrace/protobuf";
import { parseUrl, type UrlParts } from "./go-url.ts";

/** @throws {ValidationError} */
export function validateFragmentStore(store: string): void {
  parseFragmentStore(store);
}

/** The parts of a valid store URL. @throws {ValidationError} */
export function parseFragmentStore(store: string): UrlParts {
  const url = parseUrl(store);
  if (url.scheme === "") invalid(`not absolute (${store})`);
  switch (url.scheme) {
    case "s3":
    case "gs":
    case "azure":
      if (url.host === "") invalid(`missing bucket (${store})`);
      break;
    case "azure-ad":
      validateAzureAd(store, url);
      break;
    case "file":
      if (url.host !== "") invalid(`file scheme cannot have host (${store})`);
      break;
    default:
      invalid(`invalid scheme (${url.scheme})`);
  }
  if (!url.path.endsWith("/")) invalid(`path component doesn't end in '/' (${url.path})`);
  return url;
}

/** Host = tenant; the first two components of the path = storage account and container. */
function validateAzureAd(store: string, url: UrlParts): void {
  const [, account = "", container = ""] = url.path.split("/");
  if (url.host === "") invalid(`missing tenant ID (${store})`);
  if (account === "") invalid(`missing storage account (${store})`);
  if (container === "") invalid(`missing storage container (${store})`);
}
