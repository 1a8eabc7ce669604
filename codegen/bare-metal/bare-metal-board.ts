/** Machines that images without an operating system are made for, as data. */
import type { Architecture } from '../../targets/target.js';

export interface BareMetalBoard {
  readonly name: string;
  readonly description: string;
  readonly arch: Architecture;
  /** Who begins the program: the processor after a reset, or U-Boot, to which it returns. Folders of templates/bare-metal. */
  readonly start: 'reset' | 'u-boot';
  /** A file of templates/bare-metal/uart, without .c, and the address of its registers. */
  readonly uart: { readonly driver: 'pl011' | 'ns16550' | 'sifive'; readonly address: number };
  /** Memory that the image may use, in bytes. */
  readonly ram: { readonly start: number; readonly bytes: number };
  /** Where the image lies, and where the processor begins. */
  readonly loadAddress: number;
  /** The file that the board boots: an ELF file, the bytes of memory from loadAddress on, or these behind a header of U-Boot. */
  readonly image: { readonly name: string; readonly format: 'elf' | 'binary' | 'u-boot' };
  /** How it is switched off; null where it cannot be. */
  readonly powerOff:
    | { readonly kind: 'psci' }
    | { readonly kind: 'finisher'; readonly address: number }
    | null;
  /** The hart that runs the model; others wait. RISC-V only. */
  readonly hart: number | null;
  /** Ticks a second of the time CSR, under U-Boot on RISC-V; null where the processor tells or no time is taken. */
  readonly timerHz: number | null;
}

const MiB = 1 << 20;

/** QEMU's virt machines, as one boots them and as U-Boot finds them. */
const machines = {
  virtAarch64: {
    arch: 'aarch64',
    uart: { driver: 'pl011', address: 0x09000000 },
    ...{ hart: null, timerHz: null },
  },
  virtRiscv64: {
    arch: 'riscv64',
    uart: { driver: 'ns16550', address: 0x10000000 },
  },
} as const;

/** A program that U-Boot loads and calls. It has moved itself to the end of memory; there is none to switch off: it returns. */
const uBoot = {
  start: 'u-boot',
  image: { name: 'em-bare.img', format: 'u-boot' },
  powerOff: null,
  hart: null,
} as const;

const elf = { name: 'em-bare.elf', format: 'elf' } as const;

export const bareMetalBoards: readonly BareMetalBoard[] = [
  {
    name: 'virt-aarch64',
    description: "QEMU's virt machine for 64-bit Arm",
    ...machines.virtAarch64,
    start: 'reset',
    ram: { start: 0x40000000, bytes: 512 * MiB },
    loadAddress: 0x40080000, // QEMU puts the device tree at the start
    image: elf,
    powerOff: { kind: 'psci' },
  },
  {
    name: 'raspi3b',
    description: 'Raspberry Pi 3B',
    arch: 'aarch64',
    start: 'reset',
    uart: { driver: 'pl011', address: 0x3f201000 },
    // The graphics processor has the rest of the gigabyte.
    ram: { start: 0, bytes: 896 * MiB },
    loadAddress: 0x80000,
    image: { name: 'kernel8.img', format: 'binary' },
    powerOff: null,
    hart: null,
    timerHz: null,
  },
  {
    name: 'virt-riscv64',
    description: "QEMU's virt machine for RISC-V",
    ...machines.virtRiscv64,
    start: 'reset',
    ram: { start: 0x80000000, bytes: 512 * MiB },
    loadAddress: 0x80000000,
    image: elf,
    powerOff: { kind: 'finisher', address: 0x100000 },
    hart: 0,
    timerHz: null,
  },
  {
    name: 'sifive_u',
    description: 'SiFive HiFive Unleashed',
    arch: 'riscv64',
    start: 'reset',
    uart: { driver: 'sifive', address: 0x10010000 },
    ram: { start: 0x80000000, bytes: 512 * MiB },
    loadAddress: 0x80000000,
    image: elf,
    powerOff: null,
    hart: 1, // hart 0 is a small core without floating-point registers, which starts the others
    timerHz: null,
  },
  {
    name: 'virt-aarch64-uboot',
    description: "U-Boot on QEMU's virt machine for 64-bit Arm",
    ...machines.virtAarch64,
    ...uBoot,
    ram: { start: 0x40000000, bytes: 448 * MiB },
    loadAddress: 0x41000000,
  },
  {
    name: 'virt-riscv64-uboot',
    description: "U-Boot on QEMU's virt machine for RISC-V",
    ...machines.virtRiscv64,
    ...uBoot,
    ram: { start: 0x80000000, bytes: 448 * MiB },
    loadAddress: 0x84000000,
    timerHz: 10_000_000,
  },
];
