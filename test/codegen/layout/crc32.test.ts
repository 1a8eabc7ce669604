import t from 'tap';
import { crc32 } from '../../../codegen/layout/crc32.js';

t.test('the check value of CRC-32/ISO-HDLC', async (t) => {
  t.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  t.equal(crc32(Buffer.alloc(0)), 0);
});
