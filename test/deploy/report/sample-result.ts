/** Results as deploy writes them, made up for reports. */
import type { ReportContent } from '../../../deploy/report/report-content.js';
import type { ReportResult } from '../../../deploy/report/report-result.js';

/** A report of results and nothing else. */
export const reportOf = (
  results: readonly ReportResult[],
  change: Partial<ReportContent> = {},
): ReportContent => ({
  results,
  failures: [],
  comparisons: [],
  history: [],
  ...change,
});

/** A result of a board; `rate`: tokens a second, of three repeats that differ by `spread`. */
export function result(
  name: string,
  rate: number,
  spread = 0,
  change: Partial<ReportResult> = {},
): ReportResult {
  const tokenMs = [1 - spread, 1, 1 + spread].map((factor) =>
    Array.from({ length: 20 }, (_, i) => (1000 / (rate * factor)) * (1 + i / 100)),
  );
  return {
    schemaVersion: 1,
    tool: { name: 'embed-model', version: '0.1.0' },
    model: { name: 'tiny <&"> model', family: 'llama', parameters: 1000, sha256: '0'.repeat(64) },
    target: 'cortex-a72',
    build: { id: 'ab'.repeat(32), quantizedSha256: '0'.repeat(64) },
    board: { name, transport: 'ssh', emulated: false, cpu: 'Cortex-A72', kernel: 'Linux 6.6' },
    quantization: {
      name: 'int8',
      bitsPerWeight: 8.2,
      formats: { w8: 3 },
      method: 'round to nearest',
      accepted: null,
    },
    files: { blobBytes: 1e6, binaryBytes: 8e5, textBytes: 4e4, rodataBytes: 1e3, dataBytes: 0, bssBytes: 0 },
    memory: {
      weightsBytes: 9e5,
      kvCacheBytes: 2e5,
      activationBytes: 1e5,
      arenaBytes: 3e5,
      stackBytes: 2e3,
      peakRssBytes: 2e6,
    },
    speed: {
      ...{ threads: 4, promptTokens: 64, promptTokensPerSecond: rate * 4, generatedTokens: 21 },
      tokensPerSecond: { median: rate, p5: rate * 0.9, p95: rate * 1.1 },
      timeToFirstTokenMs: 12,
      msPerToken: { p50: 1000 / rate, p90: 1100 / rate, p99: 1200 / rate },
    },
    output: {
      prompt: null,
      promptIds: [1],
      text: 'x',
      tokenIds: [2],
      logitsDigest: '0123456789abcdef',
      matchesGolden: true,
    },
    warnings: [],
    bench: {
      repeats: 3,
      tokenMs,
      promptTokensPerSecond: { median: rate * 4, p5: rate, p95: rate * 5 },
      peakRssLimitBytes: 3e6,
      peakRssWithinLimit: true,
    },
    deployment: { sentBytes: 0, goldenRuns: 2, goldenEqual: 2 },
    ...change,
  };
}
