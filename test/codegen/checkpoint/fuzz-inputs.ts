/** Damaged inputs that each reader gets, from fixed seeds: the nightly tests set EMBED_FUZZ_INPUTS to a million. */
export const fuzzInputs = Number(
  process.env.EMBED_FUZZ_INPUTS ?? (process.env.EMBED_TEST_FULL === '1' ? 100_000 : 2000),
);
