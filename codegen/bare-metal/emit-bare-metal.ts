/** The sources of an image without an operating system: start, UART, linker script, and a program of golden runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GoldenRun } from '../bundle/manifest.js';
import { emitGolden } from '../emit/emit-golden.js';
import { render, templatesFolder, type View } from '../emit/render.js';
import type { BareMetalBoard } from './bare-metal-board.js';
import { bareMetalStackBytes } from './bare-metal-request.js';

const hex = (value: number) => `0x${value.toString(16)}`;

function boardView({ name, description, uart, ram, powerOff, hart, timerHz }: BareMetalBoard): View {
  const constants: { name: string; value: string; what: string }[] = [
    { name: 'EM_RAM_START', value: `${hex(ram.start)}ul`, what: 'memory' },
    { name: 'EM_RAM_BYTES', value: `${hex(ram.bytes)}ul`, what: 'of it that may be used' },
    {
      name: 'EM_POWER_OFF_PSCI',
      value: powerOff?.kind === 'psci' ? '1' : '0',
      what: 'whether PSCI is there',
    },
  ];
  if (timerHz !== null) constants.push({ name: 'EM_TIMER_HZ', value: `${timerHz}u`, what: 'ticks a second' });
  if (hart !== null) constants.push({ name: 'EM_HART', value: `${hart}`, what: 'that runs the model' });
  if (powerOff?.kind === 'finisher') {
    constants.push({ name: 'EM_FINISHER', value: `${hex(powerOff.address)}ul`, what: 'ends the emulation' });
  }
  return { name, description, uart: `${hex(uart.address)}ul`, constants };
}

/** Every file of bare-metal/, by path in the bundle. */
export function emitBareMetal(board: BareMetalBoard, golden: readonly GoldenRun[]): Map<string, string> {
  const read = (path: string) => readFileSync(join(templatesFolder, 'bare-metal', path), 'utf8');
  const { name, arch, ram, loadAddress } = board;
  const imageBytes = ram.start + ram.bytes - loadAddress;
  const files = new Map<string, string>([
    ...['main.c', 'machine.h', 'print.c', 'print.h', 'report.h', 'weights.S'].map(
      (file) => [file, read(file)] as const,
    ),
    ...['start.S', 'machine.c'].map((file) => [file, read(`${arch}/${board.start}/${file}`)] as const),
    ['report.c', read(`report/${board.start === 'u-boot' ? 'records' : 'text'}.c`)],
    ['uart.c', read(`uart/${board.uart.driver}.c`)],
    ['board.h', render('bare-metal/board.h.hbs', boardView(board))],
    [
      'link.ld',
      render('bare-metal/link.ld.hbs', {
        ...{
          name,
          loadAddress: hex(loadAddress),
          imageBytes: hex(imageBytes),
          stackBytes: bareMetalStackBytes,
        },
      }),
    ],
    ...emitGolden(golden),
  ]);
  return new Map([...files].map(([file, text]) => [`bare-metal/${file}`, text]));
}
