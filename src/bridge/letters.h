/* Dead letters: what is rejected, written down once. The judge of the records is the same that decides who
   gets them; it looks at each once more. @thread letters. */
#pragma once

#include "causeway/kafka.h"

struct bridge;
struct letters;

struct letters *letters_create(struct bridge *b, const struct kafka_settings *settings);
void letters_stop(struct letters *t); /* NULL is fine, as below */
void letters_destroy(struct letters *t);
bool letters_ready(struct letters *t, char *detail, size_t size);
void letters_set_topics(
    struct letters *t, const struct slice *names, size_t count); /* any thread; NULL is fine */
