#include "parallel.h"

#include <pthread.h>

struct task {
    part_of_work *run;
    void *context;
    size_t part;
    size_t parts;
};

static void *start(void *argument)
{
    const struct task *task = argument;
    task->run(task->context, task->part, task->parts);
    return NULL;
}

void parallel(part_of_work *run, void *context, size_t parts)
{
    parts = parts < 1 ? 1 : parts > MOST_THREADS ? MOST_THREADS : parts;
    pthread_t threads[MOST_THREADS];
    struct task tasks[MOST_THREADS];
    int started[MOST_THREADS];
    for (size_t i = 1; i < parts; i++) {
        tasks[i] = (struct task){run, context, i, parts};
        started[i] = pthread_create(&threads[i], NULL, start, &tasks[i]) == 0;
    }
    run(context, 0, parts);
    for (size_t i = 1; i < parts; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            run(context, i, parts);
    }
}
