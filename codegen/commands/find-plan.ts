/** From what --quantize and --group-size say to a plan. */
import { parseJsonObject } from '../checkpoint/json-object.js';
import { EmbedError } from '../diagnostics/error.js';
import { nearestName } from '../diagnostics/nearest-name.js';
import { namedPlans, type Plan, parsePlan } from '../quantize/plan.js';
import { readSmallFile } from './read-small-file.js';

/** What stands for `auto` where there is too little text to search for a plan. */
const automatic = 'int8';

/** A rule for each tensor of the largest model that is read takes a fraction of this. */
const largestPlanBytes = 1 << 20;

const looksLikeAFile = (nameOrPath: string) => /[/\\]|\.json$/.test(nameOrPath);

/**
 * The plan of that name, or the one in the file at that path. `groupSize` replaces the plan's own unless it
 * is null. Throws EM1202 for an unknown name, EM2001 for a file that is no plan or cannot be read.
 */
export function findPlan(nameOrPath: string, groupSize: Plan['groupSize'] | null): Plan {
  const plan = looksLikeAFile(nameOrPath) ? readPlan(nameOrPath) : planNamed(nameOrPath);
  return groupSize === null ? plan : { ...plan, groupSize };
}

function readPlan(path: string): Plan {
  const bytes = readSmallFile(path, largestPlanBytes, 'EM2001');
  return parsePlan(parseJsonObject(bytes, path, 'EM2001'), path);
}

function planNamed(name: string): Plan {
  const wanted = name === 'auto' ? automatic : name;
  if (Object.hasOwn(namedPlans, wanted)) return namedPlans[wanted];
  const names = ['auto', ...Object.keys(namedPlans)];
  const nearest = nearestName(name, names);
  throw new EmbedError('EM1202', {
    where: '--quantize',
    why: `there is no quantization '${name}'; there are ${names.join(', ')}`,
    fix:
      nearest === undefined
        ? 'give one of these names or the path of a PLAN.json'
        : `did you mean ${nearest}?`,
  });
}
