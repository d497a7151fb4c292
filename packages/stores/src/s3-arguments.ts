// Arguments of an `s3` URL, with Gazette's names. In a file of their own: reading a URL loads no SDK.
export const S3_ARGUMENTS = [
  "Find",
  "Replace",
  "Profile",
  "Endpoint",
  "ACL",
  "StorageClass",
  "SSE",
  "SSEKMSKeyId",
  "Region",
] as const;

export type S3Arguments = Readonly<Partial<Record<(typeof S3_ARGUMENTS)[number], string>>>;
