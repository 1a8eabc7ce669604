/** Headers of U-Boot's legacy images. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bareMetalBoards } from '../../../codegen/bare-metal/bare-metal-board.js';
import { uImage, uImageHeaderBytes } from '../../../codegen/bare-metal/u-image.js';
import { crc32 } from '../../../codegen/layout/crc32.js';
import { onPath } from '../../templates/c-compiler.js';

const boards = bareMetalBoards.filter(({ start }) => start === 'u-boot');
const memory = Buffer.from('code and weights');

t.test('checksums over the header, where its own is zero, and over what follows', async (t) => {
  for (const board of boards) {
    const image = uImage(board, memory);
    t.ok(image.subarray(uImageHeaderBytes).equals(memory));
    const header = Buffer.from(image.subarray(0, uImageHeaderBytes));
    const sum = header.readUInt32BE(4);
    header.writeUInt32BE(0, 4);
    t.equal(sum, crc32(header), board.name);
    t.equal(header.readUInt32BE(24), crc32(memory));
    t.equal(header.readUInt32BE(16), board.loadAddress);
  }
});

t.test('mkimage knows them', { skip: !onPath('mkimage') && 'mkimage not installed' }, async (t) => {
  for (const board of boards) {
    const path = join(t.testdir(), 'image');
    writeFileSync(path, uImage(board, memory));
    const { stdout, status } = spawnSync('mkimage', ['-l', path], { encoding: 'utf8' });
    t.equal(status, 0);
    t.match(stdout, /U-Boot Standalone Program \(uncompressed\)/);
    t.match(stdout, board.arch === 'aarch64' ? /AArch64/ : /RISC-V/);
  }
});
