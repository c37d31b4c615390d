/* Documents from memory: the loader reads files only. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/yaml.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static inline struct document *text_document(struct slice text, struct buffer *fault)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct document *d = yaml_document_load(path, fault);
    close(fd);
    return d;
}

static inline struct catalogue *text_catalogue(const char *text)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct document *d = text_document(slice_of(text), &fault);
    CHECK(d && fault.size == 0);
    struct catalogue *c = catalogue_compile(d, &faults);
    if (!c)
        fprintf(stderr, "%s\n", buffer_text(&faults.text));
    CHECK(c);
    catalogue_faults_finish(&faults);
    document_destroy(d);
    return c;
}
