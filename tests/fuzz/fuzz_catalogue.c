/* libFuzzer: whatever the text, it is refused as YAML with its place, or as a catalogue with its faults, or
   it is one, in which every name can be found again. */
#include "fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_catalogue(const struct catalogue *c)
{
    const struct topic *topics;
    const struct lane *lanes;
    const struct lookup *lookups;
    const struct operation *operations;
    const struct room_pattern *rooms;
    for (size_t i = catalogue_topics(c, &topics); i-- > 0;)
        CHECK(catalogue_find_topic(c, topics[i].name) == &topics[i]);
    for (size_t i = catalogue_lanes(c, &lanes); i-- > 0;)
        CHECK(catalogue_find_lane(c, lanes[i].dialect, lanes[i].address));
    for (size_t i = catalogue_lookups(c, &lookups); i-- > 0;)
        CHECK(catalogue_find_lookup(c, lookups[i].name) == &lookups[i]);
    (void)catalogue_operations(c, &operations);
    (void)catalogue_rooms(c, &rooms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct document *d = text_document((struct slice){(const char *)data, size}, &fault);
    CHECK((d != NULL) == (fault.size == 0));
    buffer_finish(&fault);
    if (!d)
        return 0;
    struct catalogue *c = catalogue_check(d, &faults);
    CHECK(c || faults.count > 0);
    CHECK((faults.count > 0) == (faults.text.size > 0));
    catalogue_faults_finish(&faults);
    document_destroy(d);
    if (c)
        check_catalogue(c);
    catalogue_release(c);
    return 0;
}
