/* One epoll loop: descriptors, timers, tasks from other threads, and a turn hook for the work that is no
   event. A loop belongs to the thread that runs it; only loop_post, loop_wake and loop_stop may be called
   from elsewhere. Whoever embeds a source, timer or task owns its memory; a source may be freed only through
   loop_defer, because an event for it may already be waiting in the current turn. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* A descriptor's readiness, embedded in its owner. `events` are EPOLLIN, EPOLLOUT... */
struct loop_source {
    void (*on_ready)(struct loop_source *source, uint32_t events);
};

/* Something to run on the loop's thread; embedded or allocated by the poster, freed by whoever `run` says. */
struct loop_task {
    void (*run)(struct loop_task *task);
    struct loop_task *next;
};

/* A coarse timer (64 ms steps, never early). Zeroed is unset; setting it again moves it. */
struct loop_timer {
    void (*on_due)(struct loop_timer *timer);
    struct loop_timer *next, *previous;
    uint64_t due_ms;
};

struct loop_hooks {
    /* Every turn, after events, tasks and timers. true: there is more to do, do not sleep. */
    bool (*turn)(void *owner);
    /* Asked right before sleeping, after the loop has announced that it sleeps: is there work that came in
     * between? */
    bool (*pending)(void *owner);
};

struct loop *loop_create(void);
void loop_destroy(struct loop *l); /* after loop_run returned; tasks still queued are run first */
void loop_set_hooks(struct loop *l, const struct loop_hooks *hooks, void *owner);

/* Runs on the calling thread until loop_stop. */
void loop_run(struct loop *l);

/* @thread any */
void loop_stop(struct loop *l);
void loop_post(struct loop *l, struct loop_task *task);
/* Cheap while the loop is awake: one load. What the loop is to find must have been stored sequentially
   consistent before, and hooks.pending must load it so: then it is found, or the loop is woken. */
void loop_wake(struct loop *l);

/* @thread loop, all below */
uint64_t loop_now(const struct loop *l); /* monotonic ms, taken once per turn */
void loop_add(struct loop *l, int fd, uint32_t events, struct loop_source *source);
void loop_remove(struct loop *l, int fd);
void loop_timer_set(struct loop *l, struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_clear(struct loop *l, struct loop_timer *timer);
void loop_defer(struct loop *l, struct loop_task *task); /* runs at the end of this turn */
void loop_settle(struct loop *l); /* after loop_run returned: runs what was posted and deferred */
