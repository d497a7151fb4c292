// The AWS SDK prints a notice of nine lines, no JSON, when it runs on a Node that its coming versions will not. Which
// version of it runs on which Node is decided here, by the pinned dependency, and not by whoever reads the log.

/** Asks the SDK, in its own way, not to; what the environment says already stays. */
export function silenceVersionNotice(): void {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
}
