#!/usr/bin/env node
// Starts the command line. Runs on any Node with modules, so that one that is too old is told so in words.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const entry = new URL('../dist/codegen/cli.js', import.meta.url);
const oldest = 20;

if (Number.parseInt(process.versions.node, 10) < oldest) {
  console.error(`embed-model needs Node.js ${oldest} or later; this is ${process.version}.`);
  process.exitCode = 3;
} else if (!existsSync(entry)) {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  console.error(`embed-model is not built yet: run npm ci and npm run build in ${folder}`);
  process.exitCode = 3;
} else {
  import(entry.href).then(({ main }) => main());
}
