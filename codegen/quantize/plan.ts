/** Quantization plans: which tensor gets which format. A plan is JSON that a user can read, edit and give back. */
import { EmbedError } from '../diagnostics/error.js';
import { type FormatName, formatNames, formats } from './format.js';

export interface PlanRule {
  /** Tensor name or pattern, `*` standing for any characters: "layers.*.mlp.down". The first rule that matches decides. */
  readonly match: string;
  readonly format: FormatName;
}

export interface Plan {
  readonly schemaVersion: 1;
  readonly name: string;
  /** Columns that share a sub-scale in w4, w5, w6. */
  readonly groupSize: 32 | 64 | 128;
  /** Whether inputs of down projections are turned by a Hadamard transform; absent in plans of bundles made before there was one. */
  readonly rotate?: boolean;
  readonly rules: readonly PlanRule[];
}

const named = (name: string, ...rules: [match: string, format: FormatName][]): Plan => ({
  schemaVersion: 1,
  name,
  groupSize: 32,
  rotate: true,
  rules: rules.map(([match, format]) => ({ match, format })),
});

/** The plans that have a name on the command line. `embed` is the head too where embeddings are tied. */
export const namedPlans: Readonly<Record<string, Plan>> = {
  int8: named('int8', ['*', 'w8']),
  int4: named('int4', ['*', 'w4']),
  'int4-head8': named('int4-head8', ['head', 'w8'], ['*', 'w4']),
  int16: named('int16', ['*', 'w16']),
  mixed8: named('mixed8', ['embed', 'w16'], ['*', 'w8']),
};

/** Checks a parsed JSON value and returns it as a plan; `where` names it in errors. */
export function parsePlan(value: unknown, where: string): Plan {
  const refuse = (why: string): never => {
    throw new EmbedError('EM2001', { where, why });
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('it is not a JSON object');
  const plan = value as Record<string, unknown>;
  if (plan.schemaVersion !== 1)
    return refuse(`schemaVersion is ${JSON.stringify(plan.schemaVersion)}, expected 1`);
  const known = ['schemaVersion', 'name', 'groupSize', 'rotate', 'rules', '$schema'];
  const unknown = Object.keys(plan).find((key) => !known.includes(key));
  if (unknown !== undefined) return refuse(`field "${unknown}" is not known; fields are ${known.join(', ')}`);
  const groupSize = plan.groupSize ?? 32;
  if (groupSize !== 32 && groupSize !== 64 && groupSize !== 128)
    return refuse('groupSize must be 32, 64 or 128');
  const { rotate = true } = plan;
  if (typeof rotate !== 'boolean') return refuse('rotate must be true or false');
  if (!Array.isArray(plan.rules) || plan.rules.length === 0)
    return refuse('rules must be a list with at least one rule');
  const rules = plan.rules.map((rule: unknown, i): PlanRule => {
    const { match, format } = (typeof rule === 'object' && rule !== null ? rule : {}) as Record<
      string,
      unknown
    >;
    if (typeof match !== 'string' || match === '')
      return refuse(`rules[${i}].match must be a tensor name or pattern`);
    if (typeof format !== 'string' || !Object.hasOwn(formats, format)) {
      return refuse(`rules[${i}].format is ${JSON.stringify(format)}; formats are ${formatNames.join(', ')}`);
    }
    return { match, format: format as FormatName };
  });
  const name = typeof plan.name === 'string' ? plan.name : 'custom';
  return { schemaVersion: 1, name, groupSize, rotate, rules };
}

/** A tensor the plan must give a format; `aliases` are further names that rules may use for it. */
export interface PlannedTensor {
  readonly name: string;
  readonly aliases: readonly string[];
}

/**
 * The format of every tensor: that of the first rule that matches it. Throws EM2001 for a tensor that no rule
 * matches, and for a rule that matches no tensor.
 */
export function resolvePlan(
  plan: Plan,
  tensors: readonly PlannedTensor[],
  where: string,
): Map<string, FormatName> {
  const used = new Set<PlanRule>();
  const resolved = new Map<string, FormatName>();
  for (const tensor of tensors) {
    const names = [tensor.name, ...tensor.aliases];
    const hits = plan.rules.filter((rule) => names.some((name) => matches(rule.match, name)));
    for (const rule of hits) used.add(rule);
    if (hits.length === 0) {
      throw new EmbedError('EM2001', {
        where,
        why: `no rule matches tensor ${tensor.name}; end the rules with {"match": "*", ...}`,
      });
    }
    resolved.set(tensor.name, hits[0]!.format);
  }
  const idle = plan.rules.find((rule) => !used.has(rule));
  if (idle !== undefined) {
    throw new EmbedError('EM2001', {
      where,
      why: `rule "${idle.match}" matches no tensor; names look like ${tensors
        .slice(0, 3)
        .map((t) => t.name)
        .join(', ')}`,
    });
  }
  return resolved;
}

/** Whether a pattern, `*` standing for any characters, covers the whole name. Takes the first place of each part. */
function matches(pattern: string, name: string): boolean {
  const [head, ...parts] = pattern.split('*');
  const tail = parts.pop();
  if (tail === undefined) return name === head;
  if (name.length < head!.length + tail.length || !name.startsWith(head!) || !name.endsWith(tail))
    return false;
  let at = head!.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - tail.length;
}
