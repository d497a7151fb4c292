// Bodies and programs for the properties of templates.
import fc from "fast-check";

/** JSON values without members. */
export const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -0,
    1.5,
    1e-7,
    1e21,
    12345678901234,
    "",
    "text",
    "é\u2028😀",
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Objects with own members only, whatever their names. */
export function objectsOf(key: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc.array(fc.tuple(key, value), { maxLength: 5 }).map((entries) => Object.fromEntries(entries));
}

/** JSON values of `leaf`, in objects and in what `within` makes of them. */
export function bodiesOf(
  leaf: fc.Arbitrary<unknown>,
  key: fc.Arbitrary<string>,
  within: (body: fc.Arbitrary<unknown>) => readonly fc.Arbitrary<unknown>[] = () => [],
): fc.Arbitrary<unknown> {
  return fc.letrec<{ body: unknown }>((tie) => ({
    body: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      objectsOf(key, tie("body")),
      ...within(tie("body")),
    ),
  })).body;
}

/** Programs of `leaves`, in what `within` makes of them. */
export function programsOf(
  leaves: readonly string[],
  within: (code: fc.Arbitrary<string>) => readonly fc.Arbitrary<string>[],
): fc.Arbitrary<string> {
  return fc.letrec<{ code: string }>((tie) => ({
    code: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constantFrom(...leaves),
      ...within(tie("code")),
    ),
  })).code;
}
