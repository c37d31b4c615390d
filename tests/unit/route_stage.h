/* A router with the catalogue of a small shop, and one record at a time. */
#pragma once

#include "unit.h"

#include "causeway/route.h"

extern const char shop[];

enum { EVENT_MAX = 4096 };

struct fixture {
    struct catalogue *catalogue;
    struct router *router;
    struct record record;
    struct routed routed;
    struct buffer text; /* of described() */
};

int set_up(void **state);
int tear_down(void **state);

/* A record of orders.v1 with this value, and nothing else. */
void begin(struct fixture *f, const char *value);
void add_header(struct fixture *f, const char *name, const char *value);

/* Routes the record: "operation: room room but room; ..." or the label of the rejection. */
const char *route(struct fixture *f);

/* begin() and route(), and what that gives. */
void check_value(struct fixture *f, const char *value, const char *expected);

/* A record of that type with this payload as its data. */
void check_payload(struct fixture *f, const char *type, const char *payload, const char *expected);

#define routing_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
