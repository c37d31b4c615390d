/* The one kind of lock that modules shared between threads use. Held for a few instructions, never around a
 * call that waits. */
#pragma once

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

static inline void lock_init(struct lock *l)
{
    pthread_mutex_init(&l->mutex, NULL);
}

static inline void lock_finish(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

static inline void lock_take(struct lock *l)
{
    pthread_mutex_lock(&l->mutex);
}

static inline void lock_give(struct lock *l)
{
    pthread_mutex_unlock(&l->mutex);
}
