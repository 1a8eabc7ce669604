/*
 * evaluate.h - raw logits of every position of a file of token ids, for perplexity computed elsewhere.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_EVALUATE_H
#define RUNNER_EVALUATE_H

#include "em.h"
#include "failure.h"
#include "options.h"

/*
 * Takes the ids of options->ids_file (little-endian uint16, or uint32 for a vocabulary of more than 65,536) in windows
 * of options->window that do not overlap, a rest that fills no window left out; for each window forgets everything,
 * runs it, and writes int32[EM_VOCAB] in Q(EM_LOGITS_FRAC) of each of its positions, little-endian, to
 * options->logits. Nothing else goes there.
 */
int evaluate(em_model *model, const struct options *options, struct failure *failure);

#endif /* RUNNER_EVALUATE_H */
