// What a check says about a value: the text of its refusal, or "" when it passes. Anything but a WireError is a
// failure.
import { WireError } from "@millrace/base";

export function refusal(check: () => unknown): string {
  try {
    check();
    return "";
  } catch (thrown) {
    if (!(thrown instanceof WireError) || thrown.code !== "INVALID_ARGUMENT") throw thrown;
    return thrown.message;
  }
}
