// Writes templates/kernels/em_tables.h from codegen/arithmetic/tables.ts. Run after `npm run build`.
import { writeFileSync } from 'node:fs';
import { tablesHeader } from '../dist/codegen/emit/tables-header.js';

writeFileSync(new URL('../templates/kernels/em_tables.h', import.meta.url), tablesHeader());
