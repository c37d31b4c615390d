/* The parts of kafka_letters.c: kafka_letters_writer.c has the transactions. All on the letters' thread. */
#pragma once

#include "causeway/kafka_letters.h"
#include "kafka_internal.h"

enum {
    LETTERS_MAX = 100,           /* per transaction */
    LETTERS_BYTES_MAX = 4 << 20, /* after which a transaction gets no more */
    LETTERS_TROUBLE_BYTES = 300,
};

struct letter_writer;

/* What the letters of one transaction are made of. */
struct letter {
    struct metric *counter;
    size_t weight; /* bytes of key, value and headers */
};

/* `id` is the transactional id, of this process alone. */
struct letter_writer *letter_writer_create(
    const struct kafka_settings *settings, const char *topic, const char *id, const atomic_bool *stopping);
/* What is not committed is given up. */
void letter_writer_destroy(struct letter_writer *w);

/* Belongs to the transaction that letter_writer_commit will commit. false: it cannot be written now, and
   letter_writer_abort must follow. The message is not needed any more afterwards. */
bool letter_writer_add(
    struct letter_writer *w, const rd_kafka_message_t *record, const struct kafka_verdict *verdict);
size_t letter_writer_count(const struct letter_writer *w);
bool letter_writer_full(const struct letter_writer *w);

/* Letters, if any, and offsets of the group that `consumer` is in. Blocks for about 15 s at most. false:
   letter_writer_abort must follow. */
bool letter_writer_commit(
    struct letter_writer *w, rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *offsets);

/* true: nothing of the transaction will ever be seen. false: that is not known; a consumer that asks for its
   committed offsets anew will be told. */
bool letter_writer_abort(struct letter_writer *w);

/* Was that because of a size that the next attempt will not have? */
bool letter_writer_adapted(const struct letter_writer *w);
/* Why the last one failed. */
const char *letter_writer_trouble(const struct letter_writer *w);
