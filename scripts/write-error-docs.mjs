// Writes docs/errors.md from the catalogue in codegen/diagnostics. Run after `npm run build`.
import { writeFileSync } from 'node:fs';
import { errorDocs } from '../dist/codegen/diagnostics/error-docs.js';

writeFileSync(new URL('../docs/errors.md', import.meta.url), errorDocs());
