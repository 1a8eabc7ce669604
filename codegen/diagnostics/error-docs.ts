/** docs/errors.md, made from the catalogue. */
import { type Diagnostic, diagnostics } from './catalog.js';
import { exitCodes } from './exit-codes.js';

/** Sections in the order of their numbers; a code belongs to the section whose prefix it begins with. */
const sections: readonly (readonly [prefix: string, title: string])[] = [
  ['EM10', 'Checkpoints'],
  ['EM11', 'Tokenizers'],
  ['EM12', 'Command line'],
  ['EM13', 'Output folders'],
  ['EM14', 'Bundles and blobs'],
  ['EM2', 'Quantization and evaluation'],
  ['EM30', 'Toolchains'],
  ['EM31', 'Audit of the compiled code'],
  ['EM32', 'Running'],
  ['EM40', 'Boards'],
  ['EM50', 'Kernel modules, bare metal'],
  ['EM90', 'embed-model itself'],
];

const introduction = `# Errors

<!-- Made by scripts/write-error-docs.mjs from codegen/diagnostics. Do not edit. -->

Every error of embed-model has a number, and says what went wrong, where, why, and what to do:

    error EM1203: unknown target
      where: --target
      why:   there is no target 'cortex-a27'; there are x86_64-avx2, cortex-a72, riscv-u74, riscv-u74-zb
      fix:   did you mean cortex-a72?

With \`--json\`, the document on stdout is \`{"error": {"code", "what", "where", "why", "fix", "exitCode"}}\`. With
\`--verbose\`, stderr shows where in the program the error came from. A number is never given to another error. In a
program that uses the library, every error is an \`EmbedError\` with these fields.
`;

/** The whole file. */
export function errorDocs(): string {
  const codes = Object.keys(diagnostics).sort();
  const lost = codes.find((code) => !sections.some(([prefix]) => code.startsWith(prefix)));
  if (lost !== undefined) throw new Error(`no section of docs/errors.md is for ${lost}`);
  return [introduction, exitCodeSection(), ...sections.map((section) => errorSection(section, codes))].join(
    '\n',
  );
}

function exitCodeSection(): string {
  const rows = Object.entries(exitCodes).map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return ['## Exit codes', '', '| code | meaning |', '|---|---|', ...rows, ''].join('\n');
}

function errorSection([prefix, title]: (typeof sections)[number], codes: readonly string[]): string {
  const rows = codes
    .filter((code) => code.startsWith(prefix))
    .map((code) => {
      const { what, fix, exit }: Diagnostic = diagnostics[code as keyof typeof diagnostics];
      return `| ${code} | ${cell(what)} | ${cell(fix)} | ${exit} |`;
    });
  return [
    `## ${title}`,
    '',
    '| error | what | what to do | exit code |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** Vertical bars would end the cell, angle brackets would be tags. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
