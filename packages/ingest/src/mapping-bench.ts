// What the benchmarks of templates have in common: the record, and how a figure comes about.

export const RECORD = JSON.stringify({
  a: { b: "hello world" },
  n: 5,
  name: "x1234",
  long: "lorem ipsum ".repeat(20),
  items: [
    { p: 1.5, q: 2 },
    { p: 3, q: 4 },
  ],
});
const ROUNDS = 5;

/**
 * Says how often `round` does a thing a CPU second: the median of some rounds, the first of which does not count.
 * @param round @returns how often it did it
 * @param cpuSeconds used so far
 */
export async function measureTemplate(
  template: string,
  round: () => number | Promise<number>,
  cpuSeconds: () => number,
): Promise<void> {
  const figures: number[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const before = cpuSeconds();
    const count = await round();
    if (i > 0) figures.push(count / (cpuSeconds() - before));
  }
  const median = figures.sort((a, b) => a - b)[figures.length >> 1]!;
  process.stdout.write(`${JSON.stringify({ template, perCpuSecond: Math.round(median) })}\n`);
}
