/* model.h - what the library's sources ask of a model, in the smallest size, so that parts of it compile without one. */
#ifndef MODEL_H
#define MODEL_H

#include "em.h"

#ifndef EM_VOCAB
#define EM_VOCAB 300
#endif
#ifndef EM_LOGITS_FRAC
#define EM_LOGITS_FRAC 20
#endif
#define EM_CONTEXT 16u
#define EM_BATCH 4u
#define EM_STATE_BYTES 1024u
#define EM_HAS_TOKENIZER 0

extern const em_u8 em_build_id[32];

#endif /* MODEL_H */
