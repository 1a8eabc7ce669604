/** An acceptance in the words of a terminal. */
import type { Acceptance } from '../accept/acceptance.js';
import { printable } from '../diagnostics/printable.js';
import { fieldList } from './text-table.js';

export function acceptanceSummary({ gates, accepted }: Acceptance): string {
  const verdict = { true: 'passed', false: 'FAILED', null: 'open' } as const;
  const rows = gates.map(
    ({ name, passed, text }) => [name, `${verdict[`${passed}`].padEnd(6)}  ${printable(text)}`] as const,
  );
  const whole = { true: 'yes', false: 'NO: a gate failed', null: 'not judged: the loss is open' } as const;
  return fieldList([...rows, ['accepted', whole[`${accepted}`]]]);
}
