// Options of a group before its command, where `gazctl` takes them too: they are moved behind it.

const GROUPS: ReadonlySet<string | undefined> = new Set(["journals", "brokers"]);

/** `journals --zone a list` becomes `journals list --zone a`. Each has a value, in the same word or in the next. */
export function optionsBehind(args: readonly string[]): readonly string[] {
  const [group, ...rest] = args;
  if (!GROUPS.has(group)) return args;
  let count = 0;
  for (let word = rest[0]; word?.startsWith("--") === true && word !== "--help"; word = rest[count]) {
    const isWhole = word.includes("=");
    if (!isWhole && rest[count + 1]?.startsWith("-") === true) return args;
    count += isWhole ? 1 : 2;
  }
  const command = rest[count];
  if (count === 0 || command === undefined || command.startsWith("-")) return args;
  return [group!, command, ...rest.slice(0, count), ...rest.slice(count + 1)];
}
