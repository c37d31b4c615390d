/* The grants of user 42 over a small shop. What they ask and decide is text in the fixture; a question is
   answered by its text, "lookup param|param", when the test likes. */
#pragma once

#include "unit.h"

#include "catalogue_text.h"

#include "causeway/grants.h"

extern const char shop[];

enum { ASKED_MAX = 32, LEASE_MS = 30000, PATIENCE_MS = 10000 };

/* Records what grants ask and decide; answers nothing by itself. */
struct fixture {
    struct catalogue *catalogue;
    struct lookups *lookups;
    struct grants *grants;
    uint64_t now;
    struct {
        uint64_t tag;
        char text[256]; /* "lookup param|param" */
    } asked[ASKED_MAX];
    size_t asked_count;
    size_t attached_count, decided_count;
    char attached[512]; /* "allowed: room room" */
    char decided[512];  /* "tag room outcome; " for each */
    char changes[512];  /* what was said of rights that were given: "doubt; -room why; +room at; certain; " */
    bool destroy;       /* from within the decision */
};

/* Other grants take the place of those that are there. */
void create(struct fixture *f, const char *address, size_t rooms_max);
int set_up(void **state);
int tear_down(void **state);

/* "a,b" makes slices in `out`; "-" is NULL. */
size_t split(const char *text, struct slice *out);

/* Answers what was asked as "lookup param|param": the columns, then one text per row, NULL-terminated. */
void answer_rows(struct fixture *f, const char *asked, const char *const *texts);

#define answer(f, asked, ...) answer_rows(f, asked, (const char *const[]){__VA_ARGS__, NULL})

/* Answers it with a failure. */
void answer_failure(struct fixture *f, const char *asked, enum lookup_status status);

/* Attaches, and answers who the user is: "id,role,level,tenant". */
void attach_as(struct fixture *f, const char *row);

/* What was decided since the last call. */
void check_decided(struct fixture *f, const char *expected);

#define grants_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
