/* Functions whose use of the stack is hard to tell: realigned, with pushed arguments, cloned, split, tail called, called back. */

#define NOINLINE __attribute__((noinline))

typedef void (*em_task)(int *context, int index);
typedef void (*em_parallel_for)(em_task task, int *context, int count);

/* Touches every byte, so that a painted stack shows it. */
#define TOUCH(array)                                                  \
    for (unsigned em_i = 0; em_i < sizeof(array); em_i++) {           \
        (array)[em_i] = (unsigned char)em_i;                          \
    }

NOINLINE static int leaf(int value)
{
    volatile unsigned char buffer[200];

    TOUCH(buffer);
    return value + buffer[(unsigned)value % sizeof(buffer)];
}

/* A compiler may specialise this for its constant arguments (leaf2.constprop.0). */
NOINLINE static int leaf2(int value, int scale, int bias)
{
    volatile unsigned char buffer[120];

    TOUCH(buffer);
    return value * scale + bias + buffer[(unsigned)value % sizeof(buffer)] + leaf(value);
}

NOINLINE static int many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k)
{
    volatile unsigned char buffer[40];

    TOUCH(buffer);
    return a + b + c + d + e + f + g + h + i + j + k + buffer[(unsigned)a % sizeof(buffer)] + leaf(a);
}

int em_plain(int value)
{
    return leaf2(value, 3, 5) + leaf2(value + 1, 3, 5);
}

int em_many(int value)
{
    volatile unsigned char buffer[72];
    int sum = 0;

    TOUCH(buffer);
    for (int n = 0; n < 3; n++) {
        sum += many(value, n, 2, 3, 4, 5, value + 6, 7 + n, value + 8, 9, n) + 1;
        sum += many(n, value, 2, 3, 4, 5, sum, 7, value + n, 9, 10);
    }
    return sum + buffer[(unsigned)value % sizeof(buffer)];
}

int em_aligned(int value)
{
    _Alignas(64) volatile unsigned char buffer[128];

    TOUCH(buffer);
    return leaf(value) + buffer[(unsigned)value % sizeof(buffer)];
}

/* Keeps nothing of its own frame while the tail call runs. */
int em_tail(int value)
{
    {
        volatile unsigned char buffer[320];

        TOUCH(buffer);
        value += buffer[(unsigned)value % sizeof(buffer)];
    }
    return leaf(value);
}

int em_split(int value)
{
    if (__builtin_expect(value > 1000, 0)) {
        return leaf2(value, 7, 11) + em_many(value) + 1;
    }
    return leaf(value) + 3;
}

static void task(int *context, int index)
{
    context[index] += leaf(index);
}

/* A caller's parallel-for, as simple as can be. */
NOINLINE void em_serial_for(em_task todo, int *context, int count)
{
    for (int index = 0; index < count; index++) {
        todo(context, index);
    }
}

NOINLINE static void run_tasks(em_parallel_for parallel_for, int *context)
{
    parallel_for(task, context, 4);
    context[0] ^= context[3];
}

int em_hooked(em_parallel_for parallel_for, int value)
{
    int context[4] = {value, value, value, value};

    run_tasks(parallel_for, context);
    return context[0];
}
