/*
 * generate.h - prompt in, tokens out, timed.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_GENERATE_H
#define RUNNER_GENERATE_H

#include "em.h"
#include "failure.h"
#include "options.h"
#include "report.h"

/*
 * Runs the prompt and generates until options->tokens were chosen or, unless options->ignore_end, one of them ends the
 * text; that one is reported too. With options->slide tokens may go beyond the context: each of those is chosen by the logits
 * of the last EM_CONTEXT tokens, which are computed again as positions 0 to EM_CONTEXT - 1. The digest covers the logits of every position that was computed, in order: those of the prompt, then those of
 * every chosen token but the last, whose logits nobody needs.
 */
int generate(em_model *model, const struct options *options, struct report *report, struct failure *failure);

#endif /* RUNNER_GENERATE_H */
