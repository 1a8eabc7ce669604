/** The commands, in the order of help. */
import { build } from './build.js';
import type { Command } from './command.js';
import { doctor } from './doctor.js';
import { evaluate } from './evaluate.js';
import { inspect } from './inspect.js';
import { run } from './run.js';
import { targetsCommand } from './targets.js';
import { verify } from './verify.js';

export const commands: readonly Command[] = [build, run, evaluate, verify, inspect, targetsCommand, doctor];
