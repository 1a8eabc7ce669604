/** Commands of images, and what can be read from them. */
import t from 'tap';
import { bareMetalBoards } from '../../../codegen/bare-metal/bare-metal-board.js';
import { imageLink } from '../../../codegen/bare-metal/image-commands.js';
import { imageExtent } from '../../../codegen/bare-metal/image-extent.js';
import type { Toolchain } from '../../../codegen/compile/toolchain.js';
import { targets } from '../../../targets/index.js';

const board = (name: string) => bareMetalBoards.find((one) => one.name === name)!;
const target = targets.find(({ name }) => name === 'cortex-a72')!;
const toolchain = (family: Toolchain['family']): Toolchain => ({
  ...{ family, command: ['cc'], ar: ['ar'], objdump: null, version: '1', environment: {} },
  candidate: { ...target.toolchains[0]!, family },
});

t.test('zig links no images', async (t) => {
  const link = imageLink('/b', board('virt-aarch64'), target, toolchain('zig'), [], '/s');
  await t.rejects(link, { code: 'EM3005' });
});

t.test('without objcopy there is no image of bytes alone', async (t) => {
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
  });
  process.env.PATH = '/nowhere';
  await t.rejects(imageLink('/b', board('raspi3b'), target, toolchain('gcc'), [], '/s'), { code: 'EM3004' });
  const { elf, image } = await imageLink('/b', board('virt-aarch64'), target, toolchain('gcc'), [], '/s');
  t.equal(elf, image);
});

/** An ELF file with these segments: address and size in memory. */
function elfOf(...segments: readonly (readonly [number, number])[]): Buffer {
  const elf = Buffer.alloc(0x40 + segments.length * 56);
  elf.writeBigUInt64LE(0x40n, 0x20);
  elf.writeUInt16LE(segments.length, 0x38);
  for (const [i, [address, bytes]] of segments.entries()) {
    const at = 0x40 + i * 56;
    elf.writeUInt32LE(1, at);
    elf.writeBigUInt64LE(BigInt(address), at + 0x10);
    elf.writeBigUInt64LE(BigInt(bytes), at + 0x28);
  }
  return elf;
}

t.test('memory of an image', async (t) => {
  t.equal(imageExtent(elfOf([0x80000000, 100], [0x80001000, 0x500]), 'x'), 0x1500);
  for (const bad of [Buffer.alloc(0), Buffer.from('no'), elfOf(), elfOf([1, 2]).subarray(0, 0x50)]) {
    t.throws(() => imageExtent(bad, 'x'), { code: 'EM3004' });
  }
});
