/** Numbers as people read them. MB is 10^6 bytes, everywhere. */

/** 3443136 -> 3,443,136 */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/**
 * Three or four significant digits and the largest unit that leaves at least one before the point: 1.23 k,
 * 45.6 M.
 */
export function formatMagnitude(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  let unit = 0;
  let scaled = value;
  while (Math.abs(scaled) >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits = scaled >= 99.95 || (unit === 0 && Number.isInteger(scaled)) ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${units[unit]}`;
}

/** 3672512 -> 3.67 MB */
export function formatBytes(bytes: number): string {
  const magnitude = formatMagnitude(bytes);
  return magnitude.includes(' ') ? `${magnitude}B` : `${magnitude} bytes`;
}

/** 5.2 ms, 1.42 s, 12.3 s, 3 min 07 s, 1 h 02 min */
export function formatDuration(seconds: number): string {
  if (seconds < 0.09995) return `${(1000 * seconds).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${(1000 * seconds).toFixed(0)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** 1 token, 2 tokens, 12.3 M weights */
export function formatAmount(count: number, unit: string): string {
  const number = count < 100_000 ? formatCount(count) : formatMagnitude(count);
  return `${number} ${count === 1 ? unit : `${unit}s`}`;
}

/** 0.55 steps/s, 3,291 tokens/s, 12.3 M weights/s */
export function formatRate(perSecond: number, unit: string): string {
  const number =
    perSecond >= 99.95 && perSecond < 100_000 ? formatCount(perSecond) : formatMagnitude(perSecond);
  return `${number} ${unit}s/s`;
}
