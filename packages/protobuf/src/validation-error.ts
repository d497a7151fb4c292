// What is wrong with a value, and where in it. Contexts are the path from the outside in, joined by '.':
// `Changes[0].Delete: not a valid token (bad name)`.
import { WireError } from "@millrace/base";

/** An INVALID_ARGUMENT whose message is `<contexts joined by '.'>: <reason>`. */
export class ValidationError extends WireError {
  readonly contexts: readonly string[];
  readonly reason: string;
  constructor(reason: string, contexts: readonly string[] = []) {
    super("INVALID_ARGUMENT", contexts.length === 0 ? reason : `${contexts.join(".")}: ${reason}`);
    this.contexts = contexts;
    this.reason = reason;
  }
}

/**
 * A number that an enumeration has no name for. Who validates messages after reading them, as protobuf's own
 * libraries do, takes it for a value that is not valid, and not for bytes that are no message: so its contexts are the
 * names of properties in Go, with the place in a list: `Changes[0].Upsert.Suspend.Level`.
 */
export class UnknownValueError extends ValidationError {}

/** @throws {ValidationError} always */
export function invalid(reason: string): never {
  throw new ValidationError(reason);
}

/** Runs `check`; what it refuses is refused again with `context` in front. */
export function within<T>(context: string, check: () => T): T {
  try {
    return check();
  } catch (thrown) {
    throw inContext(context, thrown);
  }
}

/** `thrown` with `context` in front when it is a ValidationError, else `thrown` itself. */
export function inContext(context: string, thrown: unknown): unknown {
  if (!(thrown instanceof ValidationError)) return thrown;
  const contexts = [context, ...thrown.contexts];
  return thrown instanceof UnknownValueError
    ? new UnknownValueError(thrown.reason, contexts)
    : new ValidationError(thrown.reason, contexts);
}

/** Runs `check` on each item; a refusal gets the context `name[index]`. */
export function withinEach<T>(
  name: string,
  items: readonly T[],
  check: (item: T, index: number) => void,
): void {
  items.forEach((item, index) => within(`${name}[${index}]`, () => check(item, index)));
}
