/* A connection on a loop of its own thread, whose handlers do what the fixture's owners say; the peer is the
   test's end of a socket pair, or of one of TCP. What touches the connection runs on the loop: on_loop(x,
   do_...). */
#pragma once

#include "unit.h"

#include "causeway/buffer.h"

#include <pthread.h>

enum { INPUT_MAX = 200000, PATIENCE_MS = 5000, LINGER_MS = 2000 };

struct fixture;

/* What the handler saw, and what it is to do. Touched on the loop only, or through on_loop. */
struct owner {
    struct fixture *fixture;
    struct buffer got;
    size_t leave;            /* so many bytes are never used */
    size_t pause_behind;     /* pauses when so many bytes have come; 0: never */
    size_t hand_over_behind; /* uses only so many bytes, then the next handler takes over */
    struct owner *next;
    bool pause_at_hand_over;
    struct slice reply; /* to every byte */
    bool aborts, finishes;
    unsigned calls, writable, deadlines, closed;
    size_t largest_waiting;
};

struct fixture {
    struct loop *loop;
    pthread_t thread;
    struct conn *conn;
    struct owner owner, second, third;
    int peer;
    /* arguments and results of what runs on the loop */
    const char *data;
    size_t size, result;
    uint64_t delay;
    bool flag;
};

uint64_t now_ms(void);

/* The handler, for handlers that differ in one hook. */
size_t on_data(void *owner, struct conn *c, char *data, size_t size);
void on_deadline(void *owner, struct conn *c);
void on_closed(void *owner, struct conn *c);

/* Runs it on the loop, and waits until it has run. */
void on_loop(struct fixture *x, void (*run)(struct fixture *x));

/* Polls until `ask`, which runs on the loop, has set x->flag. */
bool comes_true(struct fixture *x, void (*ask)(struct fixture *x));
void ask_closed(struct fixture *x);
void ask_got(struct fixture *x);

/* So many bytes have come, or come within the patience. */
bool gets(struct fixture *x, size_t size);

/* x->data in three parts; x->result is what was taken, and x->flag whether more may be. */
void do_write(struct fixture *x);
void do_send(struct fixture *x);
void do_pause(struct fixture *x);
void do_abort(struct fixture *x);
int set_up(void **state);
int tear_down(void **state);

/* So many bytes that do not repeat soon; the caller frees them. */
char *pattern(size_t size);
void peer_sends(struct fixture *x, const char *data, size_t size);

/* Reads `size` bytes at the peer, or up to the end of file. */
size_t peer_reads(struct fixture *x, char *out, size_t size);

enum { MUCH = 4 << 20 };

int set_up_tcp(void **state);

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define stage_tcp(f) cmocka_unit_test_setup_teardown(f, set_up_tcp, tear_down)
