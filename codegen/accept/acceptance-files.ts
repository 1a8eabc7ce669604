/** Files of an acceptance, in the folder report of the bundle. */
export const acceptanceFiles = [
  'validation_report.json',
  'acceptance.json',
  'compare_outputs.json',
  'compare_outputs.txt',
] as const;
