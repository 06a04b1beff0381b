/* SPDX-License-Identifier: Apache-2.0 */
/* fake_threads.c - a pthread_create() that lets a process have FAKE_THREADS threads beside its first one, as a limit of
 * the system does that is not for the administrator. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef int create_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

struct start {
    void *(*run)(void *);
    void *argument;
};

static _Atomic long running;

static void *run_counted(void *context)
{
    struct start start = *(struct start *)context;
    void *result;

    free(context);
    result = start.run(start.argument);
    running--;
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    const char *most = getenv("FAKE_THREADS");
    create_thread *real;
    struct start *start;
    int error;

    memcpy(&real, &symbol, sizeof real);
    if (most == NULL) {
        return real(thread, attributes, run, argument);
    }
    start = malloc(sizeof *start);
    if (start == NULL || ++running > atol(most)) {
        running -= start != NULL;
        free(start);
        return EAGAIN;
    }
    *start = (struct start){run, argument};
    error = real(thread, attributes, run_counted, start);
    if (error != 0) {
        running--;
        free(start);
    }
    return error;
}
