/* Catalogues for tests: a YAML text goes through a file into catalogue_compile. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline struct document *document_from_text(const char *yaml)
{
    const char *directory = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/catalogue-XXXXXX.yaml", directory ? directory : P_tmpdir);
    int file = mkstemps(path, 5);
    assert_true(file >= 0);
    assert_int_equal(write(file, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(file);
    struct buffer fault = {0};
    struct document *d = yaml_document_load(path, &fault);
    unlink(path);
    if (!d)
        fail_msg("%s", buffer_text(&fault));
    buffer_finish(&fault);
    return d;
}

/* NULL: faults. */
static inline struct catalogue *catalogue_try_text(const char *yaml, struct catalogue_faults *faults)
{
    struct document *d = document_from_text(yaml);
    struct catalogue *c = catalogue_compile(d, faults);
    document_destroy(d); /* the catalogue must live without it */
    return c;
}

static inline struct catalogue *catalogue_from_text(const char *yaml)
{
    struct catalogue_faults faults = {0};
    struct catalogue *c = catalogue_try_text(yaml, &faults);
    if (!c)
        fail_msg("%s", buffer_text(&faults.text));
    assert_int_equal(faults.count, 0);
    catalogue_faults_finish(&faults);
    return c;
}

/* A copy of `text` in which `find`, which must be there exactly once, is `replace`. Free with free(). */
static inline char *text_with(const char *text, const char *find, const char *replace)
{
    const char *at = strstr(text, find);
    if (!at || strstr(at + 1, find))
        fail_msg("'%s' must be there exactly once", find);
    struct buffer out = {0};
    buffer_add(&out, text, (size_t)(at - text));
    buffer_add_text(&out, replace);
    buffer_add_text(&out, at + strlen(find));
    char *copy = strdup(buffer_text(&out));
    buffer_finish(&out);
    return copy;
}

#define assert_slice(value, text)                                                                            \
    do {                                                                                                     \
        struct slice assert_slice_ = (value);                                                                \
        if (!slice_is(assert_slice_, (text)))                                                                \
            fail_msg("'%.*s' is not '%s'", SLICE_ARGS(assert_slice_), (text));                               \
    } while (0)
