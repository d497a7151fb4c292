import { WireError } from "@millrace/base";
export async function startHttpSource(..._: unknown[]): Promise<{ host: string; port: number }> {
  throw new WireError("UNAVAILABLE", "pending");
}
