/* The loop with a clock of the test's own, where time matters, and with real threads, where they do. */
#include "unit.h"

#include "causeway/loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool clock_is_ours;
static uint64_t our_ms;

/* Takes the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!clock_is_ours)
        return (int)syscall(SYS_clock_gettime, clock, out);
    out->tv_sec = (time_t)(our_ms / 1000);
    out->tv_nsec = (long)(our_ms % 1000) * 1000000;
    return 0;
}

static uint64_t real_ms(void)
{
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* --- tasks --- */

struct task {
    struct loop_task task;
    struct loop *loop;
    struct task *then; /* posted, or deferred, by this one */
    int number;
    bool stops;
};

static int order[32];
static size_t ran;

static void run_task(struct loop_task *t)
{
    struct task *task = (struct task *)t;
    order[ran++] = task->number;
    if (task->then)
        loop_post(task->loop, &task->then->task);
    if (task->stops)
        loop_stop(task->loop);
}

static void posted_tasks_run_in_order(void **state)
{
    (void)state;
    struct loop *l = loop_create();
    struct task tasks[10];
    ran = 0;
    for (int i = 0; i < 10; i++)
        tasks[i] = (struct task){.task.run = run_task, .loop = l, .number = i, .stops = i == 9};
    for (int i = 0; i < 9; i++)
        loop_post(l, &tasks[i].task);
    tasks[4].then = &tasks[9];
    loop_run(l);
    assert_int_equal(ran, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(order[i], i);
    loop_destroy(l);
    loop_destroy(NULL);
}

static void what_is_still_queued_runs_when_the_loop_is_destroyed(void **state)
{
    (void)state;
    struct loop *l = loop_create();
    struct task posted = {.task.run = run_task, .loop = l, .number = 1}, deferred = posted;
    deferred.number = 2;
    ran = 0;
    loop_stop(l);
    loop_run(l); /* returns at once */
    loop_post(l, &posted.task);
    loop_defer(l, &deferred.task);
    assert_int_equal(ran, 0);
    loop_destroy(l);
    assert_int_equal(ran, 2);
}

static void defer_more(struct loop_task *t)
{
    struct task *task = (struct task *)t;
    order[ran++] = task->number;
    if (task->then)
        loop_defer(task->loop, &task->then->task);
}

static struct task *to_defer;

static bool defer_in_turn(void *owner)
{
    order[ran++] = 100;
    if (to_defer) {
        loop_defer(owner, &to_defer->task);
        to_defer = NULL;
        return true;
    }
    loop_stop(owner);
    return false;
}

static void deferred_tasks_run_at_the_end_of_the_same_turn(void **state)
{
    (void)state;
    static const struct loop_hooks hooks = {defer_in_turn, NULL};
    struct loop *l = loop_create();
    struct task second = {.task.run = defer_more, .loop = l, .number = 2};
    struct task first = {.task.run = defer_more, .loop = l, .number = 1, .then = &second};
    ran = 0;
    to_defer = &first;
    loop_set_hooks(l, &hooks, l);
    loop_run(l);
    assert_int_equal(ran, 4);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 100);
    loop_destroy(l);
}

/* --- timers, under our clock --- */

enum { TIMERS = 300 };

struct world {
    struct loop *loop;
    struct timer {
        struct loop_timer timer;
        struct world *world;
        uint64_t due; /* 0: not set */
        unsigned fired;
    } timers[TIMERS];
    uint32_t seed;
    uint64_t largest_step;
    unsigned turns, fired;
};

static void set(struct timer *t, uint64_t delay)
{
    loop_timer_set(t->world->loop, &t->timer, delay);
    t->due = loop_now(t->world->loop) + delay;
}

static void on_due(struct loop_timer *timer)
{
    struct timer *t = (struct timer *)timer;
    struct world *w = t->world;
    uint64_t now = loop_now(w->loop);
    assert_true(t->due != 0);
    assert_true(now >= t->due); /* never early */
    t->due = 0;
    t->fired++;
    w->fired++;
    struct timer *other = &w->timers[next_random(&w->seed) % TIMERS];
    unsigned choice = next_random(&w->seed) % 8;
    if (choice < 2) { /* a timer may set itself again, move another, or clear another that is due as well */
        set(t, next_random(&w->seed) % 300);
    } else if (choice == 2) {
        set(other, next_random(&w->seed) % 100000);
    } else if (choice == 3) {
        loop_timer_clear(w->loop, &other->timer);
        other->due = 0;
    }
}

static bool check_timers(void *owner)
{
    struct world *w = owner;
    uint64_t now = loop_now(w->loop);
    for (size_t i = 0; i < TIMERS; i++) { /* at most one step of 64 ms late */
        struct timer *t = &w->timers[i];
        if (t->due && now >= (t->due / 64 + 1) * 64)
            fail_msg("timer %zu was due at %llu, it is %llu", i, (unsigned long long)t->due,
                (unsigned long long)now);
    }
    struct timer *t = &w->timers[next_random(&w->seed) % TIMERS];
    if (next_random(&w->seed) % 4 == 0) {
        loop_timer_clear(w->loop, &t->timer);
        t->due = 0;
    } else {
        set(t, next_random(&w->seed) %
                   (next_random(&w->seed) % 4 ? 500 : 400000)); /* beyond one revolution too */
    }
    our_ms += next_random(&w->seed) % w->largest_step;
    if (++w->turns == 20000)
        loop_stop(w->loop);
    return true;
}

static void run_world(uint64_t largest_step)
{
    static const struct loop_hooks hooks = {check_timers, NULL};
    struct world *w = calloc(1, sizeof *w);
    clock_is_ours = true;
    our_ms = 1000000;
    w->seed = 31337;
    w->largest_step = largest_step;
    w->loop = loop_create();
    for (size_t i = 0; i < TIMERS; i++) {
        w->timers[i].timer.on_due = on_due;
        w->timers[i].world = w;
    }
    loop_set_hooks(w->loop, &hooks, w);
    loop_run(w->loop);
    clock_is_ours = false;
    assert_true(w->fired > 1000);
    loop_destroy(w->loop);
    free(w);
}

static void timers_are_never_early_and_one_step_late_at_most(void **state)
{
    (void)state;
    run_world(3);
    run_world(100);
    run_world(3000);
}

static void a_loop_that_stood_still_for_minutes_misses_no_timer(void **state)
{
    (void)state;
    run_world(200000);
}

/* --- descriptors --- */

struct bell {
    struct loop_source source;
    struct loop_task task;
    struct loop *loop;
    struct bell *other;
    int fd;
    unsigned rung;
    bool gone;
};

static unsigned bells_freed;

static void free_bell(struct loop_task *task)
{
    struct bell *b = (struct bell *)((char *)task - offsetof(struct bell, task));
    assert_true(b->gone);
    bells_freed++;
    close(b->fd);
    free(b);
}

/* Whichever is told first takes the other one away, whose event waits in the same turn. */
static void on_ring(struct loop_source *source, uint32_t events)
{
    struct bell *b = (struct bell *)source;
    assert_true(events & EPOLLIN);
    b->rung++;
    if (b->gone)
        return;
    struct bell *pair[] = {b, b->other};
    for (size_t i = 0; i < 2; i++) {
        loop_remove(b->loop, pair[i]->fd);
        pair[i]->gone = true;
        pair[i]->task.run = free_bell;
        loop_defer(b->loop, &pair[i]->task);
    }
    loop_stop(b->loop);
}

static void a_source_may_be_freed_while_its_event_waits(void **state)
{
    (void)state;
    struct loop *l = loop_create();
    struct bell *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    *a = (struct bell){.source.on_ready = on_ring, .loop = l, .other = b, .fd = eventfd(1, EFD_NONBLOCK)};
    *b = (struct bell){.source.on_ready = on_ring, .loop = l, .other = a, .fd = eventfd(1, EFD_NONBLOCK)};
    bells_freed = 0;
    loop_add(l, a->fd, EPOLLIN, &a->source);
    loop_add(l, b->fd, EPOLLIN, &b->source);
    loop_run(l);
    assert_int_equal(bells_freed, 2);
    loop_destroy(l);
}

/* --- sleeping and waking --- */

struct sleeper {
    struct loop *loop;
    atomic_uint asked, seen;
    unsigned turns;
};

static bool look(void *owner)
{
    struct sleeper *s = owner;
    unsigned asked = atomic_load(&s->asked);
    s->turns++;
    atomic_store(&s->seen, asked);
    return false;
}

static bool is_asked(void *owner)
{
    struct sleeper *s = owner;
    return atomic_load(&s->asked) != atomic_load(&s->seen);
}

static void *run_loop(void *argument)
{
    loop_run(argument);
    return NULL;
}

enum { WAKES = 60000 };

static void no_wake_is_lost_between_looking_and_sleeping(void **state)
{
    (void)state;
    static const struct loop_hooks hooks = {look, is_asked};
    struct sleeper s = {.loop = loop_create()};
    pthread_t thread;
    uint32_t seed = 5;
    uint64_t slowest = 0;
    loop_set_hooks(s.loop, &hooks, &s);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, s.loop), 0);
    for (unsigned i = 1; i <= WAKES; i++) {
        uint64_t start = real_ms();
        atomic_store(&s.asked, i);
        loop_wake(s.loop);
        while (atomic_load(&s.seen) != i)
            sched_yield();
        if (real_ms() - start > slowest)
            slowest = real_ms() - start;
        for (volatile uint32_t pause = next_random(&seed) % 400; pause > 0;) /* so that all moments are hit */
            pause = pause - 1;
    }
    assert_true(slowest < 900); /* one that is lost is found after a second of sleep */
    loop_stop(s.loop);
    pthread_join(thread, NULL);
    loop_destroy(s.loop);
}

static bool is_idle(void *owner)
{
    struct sleeper *s = owner;
    s->turns++;
    return false;
}

static void an_idle_loop_sleeps(void **state)
{
    (void)state;
    static const struct loop_hooks hooks = {is_idle, NULL};
    struct sleeper s = {.loop = loop_create()};
    pthread_t thread;
    loop_set_hooks(s.loop, &hooks, &s);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, s.loop), 0);
    usleep(200000); /* what is measured is how often it turns in this time */
    uint64_t start = real_ms();
    loop_stop(s.loop);
    pthread_join(thread, NULL);
    assert_true(s.turns <= 5);
    assert_true(real_ms() - start < 900); /* and stopping wakes it */
    loop_destroy(s.loop);
}

struct poster {
    struct loop *loop;
    struct counted {
        struct loop_task task;
        struct poster *poster;
        unsigned number;
    } tasks[2000];
    unsigned expected;
    bool in_order;
    sem_t done;
};

static void count_task(struct loop_task *t)
{
    struct counted *c = (struct counted *)t;
    c->poster->in_order &= c->number == c->poster->expected;
    if (++c->poster->expected == sizeof c->poster->tasks / sizeof c->poster->tasks[0])
        sem_post(&c->poster->done);
}

static void *post_all(void *argument)
{
    struct poster *p = argument;
    for (unsigned i = 0; i < sizeof p->tasks / sizeof p->tasks[0]; i++) {
        p->tasks[i] = (struct counted){.task.run = count_task, .poster = p, .number = i};
        loop_post(p->loop, &p->tasks[i].task);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void tasks_of_many_threads_all_arrive_each_threads_in_order(void **state)
{
    (void)state;
    static struct poster posters[3];
    struct loop *l = loop_create();
    pthread_t runner, threads[3];
    assert_int_equal(pthread_create(&runner, NULL, run_loop, l), 0);
    for (size_t i = 0; i < 3; i++) {
        posters[i].loop = l;
        posters[i].in_order = true;
        sem_init(&posters[i].done, 0, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        sem_wait(&posters[i].done);
        assert_true(posters[i].in_order);
    }
    loop_stop(l);
    pthread_join(runner, NULL);
    loop_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posted_tasks_run_in_order),
        cmocka_unit_test(what_is_still_queued_runs_when_the_loop_is_destroyed),
        cmocka_unit_test(deferred_tasks_run_at_the_end_of_the_same_turn),
        cmocka_unit_test(timers_are_never_early_and_one_step_late_at_most),
        cmocka_unit_test(a_loop_that_stood_still_for_minutes_misses_no_timer),
        cmocka_unit_test(a_source_may_be_freed_while_its_event_waits),
        cmocka_unit_test(no_wake_is_lost_between_looking_and_sleeping),
        cmocka_unit_test(an_idle_loop_sleeps),
        cmocka_unit_test(tasks_of_many_threads_all_arrive_each_threads_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
