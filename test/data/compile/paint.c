/* Paints the stack below a call, makes the call, and prints how far down the paint is gone: one line an entry point. */
#include <stdio.h>

typedef void (*em_task)(int *context, int index);
typedef void (*em_parallel_for)(em_task task, int *context, int count);

int em_plain(int value);
int em_many(int value);
int em_aligned(int value);
int em_tail(int value);
int em_split(int value);
void em_serial_for(em_task todo, int *context, int count);
int em_hooked(em_parallel_for parallel_for, int value);

#define PAINT 0xA5
#define PAINTED 16384

static int hooked(int value)
{
    return em_hooked(em_serial_for, value);
}

static unsigned char *stack_pointer(void) __attribute__((always_inline));
static inline unsigned char *stack_pointer(void)
{
    unsigned char *sp;
#if defined(__x86_64__)
    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
    __asm__ volatile("mov %0, sp" : "=r"(sp));
#else
    __asm__ volatile("mv %0, sp" : "=r"(sp));
#endif
    return sp;
}

__attribute__((noinline)) static long measure(int (*entry)(int), int value)
{
    volatile unsigned char *top = stack_pointer();
    volatile unsigned char *low = top - PAINTED;

    for (volatile unsigned char *p = low; p < top; p++) {
        *p = PAINT;
    }
    entry(value);
    while (low < top && *low == PAINT) {
        low++;
    }
    return (long)(top - low);
}

int main(void)
{
    static const struct {
        const char *name;
        int (*entry)(int);
        int value;
    } entries[] = {
        {"em_plain", em_plain, 7}, {"em_many", em_many, 7},      {"em_aligned", em_aligned, 7},
        {"em_tail", em_tail, 7},   {"em_split", em_split, 2000}, {"em_hooked", hooked, 7},
    };

    for (unsigned n = 0; n < sizeof(entries) / sizeof(entries[0]); n++) {
        printf("%s %ld\n", entries[n].name, measure(entries[n].entry, entries[n].value));
    }
    return 0;
}
