/* Dead letters: what becomes of records that nobody can be given. All instances form one consumer group over
   the topics, so that each partition has one owner. He has every record judged, writes a letter for each bad
   one, and commits letters and offsets in one transaction: whoever takes over begins behind the last letter
   that can be seen (by readers with isolation.level=read_committed). A new group begins at the oldest records
   there are. Owns a thread, which waits for brokers that are away, for ever; nobody waits for it. */
#pragma once

#include "causeway/kafka.h"

struct kafka_letters;

struct kafka_letters_settings {
    const char *topic;          /* of the letters; made when it is missing */
    const char *group;          /* of the readers; transactional ids begin with it, too */
    const struct slice *topics; /* of the records */
    size_t topic_count;
    bool lenient; /* brokers without admin calls make the topic themselves when it is written to */
};

struct kafka_verdict {
    const char *reason;   /* static text, also a metric's label; NULL: nothing is wrong */
    struct slice detail;  /* in words */
    struct slice pointer; /* JSON pointer into the value; NULL data: there is no such place */
};

struct kafka_letters_hooks {
    /* On the letters' thread; what it gives out must stay until the next call. Must not depend on when it is
       called: a record may be judged more than once, also by another instance. */
    void (*judge)(void *owner, const struct record *record, struct kafka_verdict *out);
};

/* `settings` must have passed kafka_settings_check. Everything is copied. */
struct kafka_letters *kafka_letters_create(const struct kafka_settings *settings,
    const struct kafka_letters_settings *how, const struct kafka_letters_hooks *hooks, void *owner);
/* Any thread: these are the topics of the records from now on. A new one is judged from its oldest record
 * on. */
void kafka_letters_set_topics(struct kafka_letters *l, const struct slice *topics, size_t count);
/* Leaves the group, and nobody waits for that. Any thread; NULL is fine. */
void kafka_letters_stop(struct kafka_letters *l);
/* ... which takes some seconds at most. NULL is fine. */
void kafka_letters_destroy(struct kafka_letters *l);

/* Any thread: can letters be written, as far as is known? `detail` gets a short text either way. */
bool kafka_letters_ready(struct kafka_letters *l, char *detail, size_t size);
