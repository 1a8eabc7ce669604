/** The blob container: sections behind a checked header, used in place on the board (templates/runtime/em_blob.h). */
export { type BlobEntry, type BlobLayout, layOutBlob } from './blob-header.js';
export {
  type BlobSource,
  type ParsedBlob,
  readBlob,
  readBlobSection,
  verifyBlobPayload,
} from './blob-reader.js';
export {
  type BlobContents,
  type BlobSection,
  type WrittenBlob,
  writeBlob,
  writeBlobFile,
} from './blob-writer.js';
