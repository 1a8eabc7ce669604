/** templates/kernels/em_tables.h as text: the tables of the arithmetic for C. The committed file is compared with it in a test. */
import { exp2Coefficients, geluTables, rsqrtSeeds, sigmoidTable } from '../arithmetic/tables.js';

/** Numbers in lines of at most 112 characters. */
function lines(values: Iterable<number>): string {
  const out: string[] = [];
  let line = '   ';
  for (const value of values) {
    const item = ` ${value},`;
    if (line.length + item.length > 112) {
      out.push(line);
      line = '   ';
    }
    line += item;
  }
  out.push(line);
  return out.join('\n');
}

export function tablesHeader(): string {
  const { c0, c1, c2, c3 } = exp2Coefficients;
  return `/*
 * em_tables.h - constant tables of the fixed-point functions: docs/arithmetic.md, section 2. Generated from
 * codegen/arithmetic/tables.ts by scripts/write-tables.mjs; a test keeps the two equal.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TABLES_H
#define EM_TABLES_H

#include "em_port.h"

/* 2^-g for g in [0, 1) as C0 - g (C1 - g (C2 - g C3)), Q15; relative error at most 1.5e-4. */
#define EM_EXP2_C0 ${c0}
#define EM_EXP2_C1 ${c1}
#define EM_EXP2_C2 ${c2}
#define EM_EXP2_C3 ${c3}

/* 1/sqrt(m) in Q15 at the middle of [(i + 32) / 128, (i + 33) / 128). */
EM_UNUSED static const em_u16 em_rsqrt_seeds[${rsqrtSeeds.length}] = {
${lines(rsqrtSeeds)}
};

/* sigmoid(-i / 32) in Q24. */
EM_UNUSED static const em_i32 em_sigmoid_table[${sigmoidTable.length}] = {
${lines(sigmoidTable)}
};

/* Gate of the exact GELU at -i / 64 in Q24: the normal distribution function. */
EM_UNUSED static const em_i32 em_gelu_erf_table[${geluTables.erf.length}] = {
${lines(geluTables.erf)}
};

/* Gate of its tanh form. */
EM_UNUSED static const em_i32 em_gelu_tanh_table[${geluTables.tanh.length}] = {
${lines(geluTables.tanh)}
};

#endif /* EM_TABLES_H */
`;
}
