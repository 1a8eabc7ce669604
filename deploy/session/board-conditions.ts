/** Clock, heat and power of a board before and after a measurement, from files that anybody may read. */

/** What a board says at one moment; what it does not tell is null. */
export interface ConditionReading {
  /** The policy of cpufreq, such as performance. */
  readonly governor: string | null;
  /** Of the fastest core at that moment. */
  readonly frequencyMHz: number | null;
  /** Of the hottest zone. */
  readonly temperatureC: number | null;
  /** Times that heat or low voltage slowed the board down, or flags that say so. Only a change has a meaning. */
  readonly throttleState: string | null;
  /** Energy used since some moment, in joules. */
  readonly energyJ: number | null;
}

/** Of a result: what was read around the measured runs. */
export interface Conditions {
  readonly governor: string | null;
  readonly frequencyMHz: { readonly before: number | null; readonly after: number | null };
  readonly temperatureC: { readonly before: number | null; readonly after: number | null };
  /** Whether the board was slowed down in between; null where it does not tell. */
  readonly throttled: boolean | null;
  /** Joules used in between, by the whole board or its package; null where it does not tell. */
  readonly energyJ: number | null;
}

/** Globs that match nothing name no file: cat says so on stderr and the line stays empty. */
export const conditionsScript = [
  'c=/sys/devices/system/cpu',
  'echo "governor=$(cat $c/cpu0/cpufreq/scaling_governor 2>/dev/null)"',
  'echo "khz=$(cat $c/cpu*/cpufreq/scaling_cur_freq 2>/dev/null | sort -n | tail -n 1)"',
  'echo "millicelsius=$(cat /sys/class/thermal/thermal_zone*/temp 2>/dev/null | sort -n | tail -n 1)"',
  'echo "throttle=$(cat $c/cpu*/thermal_throttle/*_throttle_count 2>/dev/null | tr "\\n" " ")$(vcgencmd get_throttled 2>/dev/null)"',
  'e=; for f in /sys/class/hwmon/hwmon*/energy1_input /sys/class/powercap/intel-rapl:0/energy_uj; do',
  '[ -z "$e" ] && e=$(cat $f 2>/dev/null); done; echo "microjoules=$e"',
].join('\n');

export function parseConditions(text: string): ConditionReading {
  const values = new Map(
    text.split('\n').flatMap((line) => {
      const match = /^([a-z]+)=(.*)$/.exec(line.trim());
      return match === null ? [] : [[match[1], match[2].trim()] as const];
    }),
  );
  const number = (key: string, unit: number) => {
    const value = values.get(key) ?? '';
    return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) / unit : null;
  };
  const word = (key: string) => values.get(key) || null;
  return {
    governor: word('governor'),
    frequencyMHz: number('khz', 1000),
    temperatureC: number('millicelsius', 1000),
    throttleState: word('throttle'),
    energyJ: number('microjoules', 1e6),
  };
}

/** Bits of `vcgencmd get_throttled` that say "now": under-voltage, frequency capped, throttled, soft temperature limit. */
const raspberryNow = 0xf;

export function compareConditions(before: ConditionReading, after: ConditionReading): Conditions {
  // Counters of energy wrap around.
  const energy =
    before.energyJ === null || after.energyJ === null || after.energyJ < before.energyJ
      ? null
      : Number((after.energyJ - before.energyJ).toFixed(3));
  return {
    governor: after.governor,
    frequencyMHz: { before: before.frequencyMHz, after: after.frequencyMHz },
    temperatureC: { before: before.temperatureC, after: after.temperatureC },
    throttled: throttledBetween(before.throttleState, after.throttleState),
    energyJ: energy,
  };
}

function throttledBetween(before: string | null, after: string | null): boolean | null {
  if (before === null || after === null) return null;
  const flags = /throttled=0x([0-9a-f]+)/i.exec(after);
  const isNow = flags !== null && (Number.parseInt(flags[1], 16) & raspberryNow) !== 0;
  return isNow || before !== after;
}
