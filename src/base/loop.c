#include "causeway/loop.h"

#include "causeway/check.h"
#include "causeway/clock.h"
#include "causeway/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    WHEEL_SLOTS = 1024, /* with 64 ms steps one revolution is 65 s; later timers go round again */
    WHEEL_STEP_MS = 64,
};

struct loop {
    int epoll_fd;
    int wake_fd;
    const struct loop_hooks *hooks;
    void *owner;
    uint64_t now_ms;
    struct loop_timer wheel[WHEEL_SLOTS]; /* list heads */
    uint64_t wheel_at;                    /* the step whose slot was handled last */
    size_t timers;
    struct loop_task *deferred;
    struct loop_source wake_source;

    /* crosses threads */
    atomic_bool sleeping;
    atomic_bool stopping;
    pthread_mutex_t mailbox_lock;
    struct loop_task *mailbox_first, **mailbox_last;
    atomic_bool mailbox_filled;
};

static void on_wake(struct loop_source *source, uint32_t events)
{
    (void)events;
    struct loop *l = (struct loop *)((char *)source - offsetof(struct loop, wake_source));
    uint64_t count;
    while (read(l->wake_fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

struct loop *loop_create(void)
{
    struct loop *l = xcalloc(1, sizeof *l);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(l->epoll_fd >= 0 && l->wake_fd >= 0);
    CHECK(pthread_mutex_init(&l->mailbox_lock, NULL) == 0);
    l->mailbox_last = &l->mailbox_first;
    l->now_ms = clock_monotonic_ms();
    l->wheel_at = l->now_ms / WHEEL_STEP_MS;
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        l->wheel[i].next = l->wheel[i].previous = &l->wheel[i];
    l->wake_source.on_ready = on_wake;
    loop_add(l, l->wake_fd, EPOLLIN, &l->wake_source);
    return l;
}

void loop_set_hooks(struct loop *l, const struct loop_hooks *hooks, void *owner)
{
    l->hooks = hooks;
    l->owner = owner;
}

uint64_t loop_now(const struct loop *l)
{
    return l->now_ms;
}

void loop_add(struct loop *l, int fd, uint32_t events, struct loop_source *source)
{
    struct epoll_event e = {.events = events, .data.ptr = source};
    CHECK(epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
}

void loop_remove(struct loop *l, int fd)
{
    CHECK(epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
}

void loop_timer_clear(struct loop *l, struct loop_timer *timer)
{
    if (!timer->next)
        return;
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
    l->timers--;
}

void loop_timer_set(struct loop *l, struct loop_timer *timer, uint64_t delay_ms)
{
    loop_timer_clear(l, timer);
    timer->due_ms = l->now_ms + delay_ms;
    uint64_t step = timer->due_ms / WHEEL_STEP_MS + 1;
    struct loop_timer *head = &l->wheel[step % WHEEL_SLOTS];
    timer->previous = head->previous;
    timer->next = head;
    head->previous->next = timer;
    head->previous = timer;
    l->timers++;
}

static void run_slot(struct loop *l, uint64_t step)
{
    struct loop_timer *head = &l->wheel[step % WHEEL_SLOTS];
    struct loop_timer due = {.next = &due, .previous = &due};
    if (head->next != head) { /* splice out first: a timer that is set again must not run twice */
        due.next = head->next;
        due.previous = head->previous;
        due.next->previous = due.previous->next = &due;
        head->next = head->previous = head;
    }
    while (due.next != &due) {
        struct loop_timer *t = due.next;
        uint64_t left = t->due_ms > l->now_ms ? t->due_ms - l->now_ms : 0;
        loop_timer_clear(l, t);
        if (left > 0)
            loop_timer_set(l, t, left);
        else
            t->on_due(t);
    }
}

static void run_timers(struct loop *l)
{
    uint64_t now_step = l->now_ms / WHEEL_STEP_MS;
    if (now_step - l->wheel_at > WHEEL_SLOTS) /* after a long stop one revolution finds them all */
        l->wheel_at = now_step - WHEEL_SLOTS;
    while (l->wheel_at < now_step)
        run_slot(l, ++l->wheel_at);
}

void loop_post(struct loop *l, struct loop_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&l->mailbox_lock);
    *l->mailbox_last = task;
    l->mailbox_last = &task->next;
    pthread_mutex_unlock(&l->mailbox_lock);
    atomic_store(&l->mailbox_filled, true);
    loop_wake(l);
}

void loop_wake(struct loop *l)
{
    /* Pairs with the announcement in wait_for_events: either we see `sleeping`, or the loop sees our work.
       Sequentially consistent operations on both sides, not fences: ThreadSanitizer does not know these. */
    if (!atomic_load(&l->sleeping))
        return;
    if (atomic_exchange(&l->sleeping, false)) {
        uint64_t one = 1;
        while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stopping, true);
    loop_wake(l);
}

static void run_tasks(struct loop_task *t)
{
    while (t) {
        struct loop_task *next = t->next;
        t->run(t);
        t = next;
    }
}

static void run_mailbox(struct loop *l)
{
    if (!atomic_exchange(&l->mailbox_filled, false))
        return;
    pthread_mutex_lock(&l->mailbox_lock);
    struct loop_task *first = l->mailbox_first;
    l->mailbox_first = NULL;
    l->mailbox_last = &l->mailbox_first;
    pthread_mutex_unlock(&l->mailbox_lock);
    run_tasks(first);
}

void loop_defer(struct loop *l, struct loop_task *task)
{
    task->next = l->deferred;
    l->deferred = task;
}

static void run_deferred(struct loop *l)
{
    while (l->deferred) {
        struct loop_task *first = l->deferred;
        l->deferred = NULL;
        run_tasks(first);
    }
}

static bool work_waits(struct loop *l)
{
    return atomic_load(&l->mailbox_filled) || atomic_load(&l->stopping) ||
           (l->hooks && l->hooks->pending && l->hooks->pending(l->owner));
}

static int wait_for_events(struct loop *l, struct epoll_event *events, bool busy)
{
    int timeout_ms = 0;
    if (!busy) {
        atomic_store(&l->sleeping, true);
        if (!work_waits(l))
            timeout_ms = l->timers ? WHEEL_STEP_MS : 1000;
    }
    int n = epoll_wait(l->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
    atomic_store(&l->sleeping, false);
    CHECK(n >= 0 || errno == EINTR);
    return n;
}

void loop_run(struct loop *l)
{
    struct epoll_event events[EVENTS_PER_TURN];
    bool busy = true;
    while (!atomic_load(&l->stopping)) {
        int n = wait_for_events(l, events, busy);
        l->now_ms = clock_monotonic_ms();
        for (int i = 0; i < n; i++) {
            struct loop_source *source = events[i].data.ptr;
            source->on_ready(source, events[i].events);
        }
        run_mailbox(l);
        run_timers(l);
        busy = l->hooks && l->hooks->turn(l->owner);
        run_deferred(l);
    }
}

void loop_settle(struct loop *l)
{
    run_mailbox(l);
    run_deferred(l);
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    loop_settle(l);
    close(l->wake_fd);
    close(l->epoll_fd);
    pthread_mutex_destroy(&l->mailbox_lock);
    free(l);
}
