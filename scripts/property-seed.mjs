// Loaded before each test file: properties draw from the commit's seed, so that a commit that passed passes again,
// and each commit draws others. A test file run alone draws at random.

import fc from "fast-check";

const seed = process.env.MILLRACE_TEST_SEED;
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
