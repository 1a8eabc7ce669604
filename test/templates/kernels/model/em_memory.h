/* em_memory.h - the arena of the model in model.h: sampling needs no more than these. */
#ifndef EM_MEMORY_H
#define EM_MEMORY_H

#define EM_AT_LOGITS 1024u
#define EM_AT_ORDER (1024u + 4u * EM_VOCAB)

#endif /* EM_MEMORY_H */
