#include "causeway/journal.h"

#include "causeway/envelope.h"
#include "causeway/lock.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    POSTS = 1024,       /* places whose cursor is kept: the recent ones all, older ones ever more sparsely */
    CHECKPOINTS = 8192, /* acknowledged ones whose sequence is kept: two hours of traffic */
    BASES_BYTES = 4 << 20,
    NONCES = 256,
};

struct post {
    uint64_t position;
    char cursor[CURSOR_TEXT_MAX + 1];
    uint8_t size;
};

struct journal {
    struct hotlog *log;
    struct rooms *rooms;
    struct partitions *partitions;
    struct cursor_mint *mint;
    struct cursor_bases *bases;
    _Atomic uint64_t nonce;
    uint64_t next_tag;
    void (*pace)(void *owner); /* NULL: none */
    void *pace_owner;
    const struct cursor_record
        *amid; /* the record of which some entries are there, and others follow; or NULL */
    struct {
        uint32_t partition;
        int64_t below;
    } * repeats; /* journal_expect_repeats; few, if any */
    size_t repeat_count;
    uint32_t *held; /* scratch: rooms of one entry */
    struct sent {
        uint64_t tag, sequence;
    } sent[64]; /* ring: sequences of the checkpoints that wait for their acknowledgement */

    struct lock lock;         /* what follows */
    struct post posts[POSTS]; /* ascending */
    size_t post_count;
    struct {
        int64_t offset;
        uint64_t sequence;
    } checkpoints[CHECKPOINTS]; /* ring, ascending */
    size_t checkpoint_count;
    uint64_t nonces[NONCES]; /* ring: all it ever had */
    size_t nonce_count;
};

static uint64_t short_nonce(uint64_t nonce)
{
    return nonce & ((UINT64_C(1) << NONCE_BITS) - 1);
}

static void set_nonce(struct journal *j, uint64_t nonce)
{
    atomic_store(&j->nonce, short_nonce(nonce));
    j->nonces[j->nonce_count++ % NONCES] = short_nonce(nonce);
}

struct journal *journal_create(const struct hotlog_settings *settings, struct rooms *rooms,
    struct partitions *partitions, uint64_t nonce)
{
    struct journal *j = xcalloc(1, sizeof *j);
    j->log = hotlog_create(settings, rooms);
    j->rooms = rooms;
    j->partitions = partitions;
    set_nonce(j, nonce);
    j->mint = cursor_mint_create(nonce);
    j->bases = cursor_bases_create(BASES_BYTES);
    j->held = xcalloc(HOTLOG_ROOMS_MAX, sizeof *j->held);
    lock_init(&j->lock);
    return j;
}

void journal_destroy(struct journal *j)
{
    if (!j)
        return;
    hotlog_destroy(j->log);
    cursor_mint_destroy(j->mint);
    cursor_bases_destroy(j->bases);
    lock_finish(&j->lock);
    free(j->repeats);
    free(j->held);
    free(j);
}

struct hotlog *journal_log(struct journal *j)
{
    return j->log;
}

uint64_t journal_nonce(const struct journal *j)
{
    return atomic_load(&j->nonce);
}

bool journal_had_nonce(struct journal *j, uint64_t nonce)
{
    bool had = false;
    lock_take(&j->lock);
    for (size_t i = 0; i < NONCES && i < j->nonce_count && !had; i++)
        had = j->nonces[i] == nonce;
    lock_give(&j->lock);
    return had;
}

void journal_set_pace(struct journal *j, void (*pace)(void *owner), void *owner)
{
    j->pace = pace;
    j->pace_owner = owner;
}

struct cursor_bases *journal_bases(struct journal *j)
{
    return j->bases;
}

void journal_restart(struct journal *j, uint64_t nonce)
{
    hotlog_restart(j->log);
    cursor_bases_clear(j->bases);
    cursor_mint_destroy(j->mint);
    j->mint = cursor_mint_create(nonce);
    memset(j->sent, 0, sizeof j->sent); /* what is acknowledged late is not this one's */
    lock_take(&j->lock);
    j->post_count = 0;
    j->checkpoint_count = 0;
    set_nonce(j, nonce);
    lock_give(&j->lock);
}

static bool may_repeat(const struct journal *j, uint32_t partition, int64_t offset)
{
    for (size_t i = 0; i < j->repeat_count; i++)
        if (j->repeats[i].partition == partition)
            return offset < j->repeats[i].below;
    return false;
}

void journal_expect_repeats(struct journal *j, uint32_t partition, int64_t below)
{
    j->repeats = xrealloc(j->repeats, (j->repeat_count + 1) * sizeof *j->repeats);
    j->repeats[j->repeat_count].partition = partition;
    j->repeats[j->repeat_count++].below = below;
}

static void hold_rooms(
    struct journal *j, uint16_t lane, const struct slice *names, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = rooms_hold(j->rooms, lane, names[i]);
}

/* false: it cannot be carried. */
static bool measure(struct envelope *e, const struct lane *lane, const struct delivery *d,
    const struct record *record, const struct routed *routed, struct envelope_notes notes)
{
    if (lane->traceparent)
        notes.traceparent = routed->traceparent;
    return d->room_count + d->except_count <= HOTLOG_ROOMS_MAX &&
           envelope_begin(e, lane, d->operation, record, routed->payload, notes);
}

static bool append(struct journal *j, const struct lane *lane, const struct cursor_record *at,
    const struct record *record, const struct routed *routed, const struct delivery *d)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    struct envelope e;
    bool carries = !d->operation->ephemeral && lane->dialect == DIALECT_WEBSOCKET;
    size_t stamped = carries ? cursor_mint_stamp(j->mint, hotlog_next(j->log) + 1, at, cursor) : 0;
    struct envelope_notes notes = {
        .cursor = {cursor, stamped}, .repeat = may_repeat(j, at->partition, record->offset)};
    if (!measure(&e, lane, d, record, routed, notes))
        return false;
    if (j->pace)
        j->pace(j->pace_owner);
    hold_rooms(j, lane->index, d->rooms, d->room_count, j->held);
    hold_rooms(j, lane->index, d->except, d->except_count, j->held + d->room_count);
    envelope_write(&e, hotlog_reserve(j->log, e.size));
    hotlog_append(j->log, &(struct hotlog_append){
                              .partition = at->partition,
                              .offset = record->offset,
                              .head_size = (uint16_t)e.header_size,
                              .tail_size = (uint16_t)e.tail_size,
                              .uniform = e.uniform,
                              .rooms = j->held,
                              .room_count = d->room_count,
                              .except = j->held + d->room_count,
                              .except_count = d->except_count,
                              .ephemeral = d->operation->ephemeral,
                              .ack = d->operation->ack,
                          });
    return true;
}

static bool is_durable(const struct delivery *d)
{
    return d->room_count > 0 && !d->operation->ephemeral;
}

/* Is it the same event for clients of another dialect that went out before, up to delivery `last`, on this
 * lane?
 */
static bool is_twin(const struct routed *routed, const struct delivery *d, size_t last)
{
    const struct operation *at = routed->deliveries[last].operation;
    for (size_t i = 0; i <= last; i++) {
        const struct operation *had = routed->deliveries[i].operation;
        if (is_durable(&routed->deliveries[i]) && had->lane == at->lane &&
            had->name_hash == d->operation->name_hash)
            return true;
    }
    return false;
}

/* Does anything of the record follow this delivery? For who had it, the same event under another dialect does
 * not count; for the place in the log (`twins`) it does, since clients of that dialect stand there too. */
static bool goes_on(const struct routed *routed, size_t at, bool twins)
{
    for (size_t i = at + 1; i < routed->delivery_count; i++) {
        const struct delivery *d = &routed->deliveries[i];
        if (is_durable(d) && (twins || !is_twin(routed, d, at)))
            return true;
    }
    return false;
}

bool journal_append(struct journal *j, const struct catalogue *c, uint32_t partition,
    const struct record *record, const struct routed *routed, size_t *appended)
{
    const struct lane *lanes;
    catalogue_lanes(c, &lanes);
    struct cursor_record at = {.partition = partition, .offset = record->offset}, before;
    bool fine = true;
    for (size_t i = 0; i < routed->delivery_count; i++) {
        const struct delivery *d = &routed->deliveries[i];
        at.ended = !goes_on(routed, i, false);
        bool added = d->room_count > 0 && append(j, &lanes[d->operation->lane], &at, record, routed, d);
        *appended += added;
        fine = fine && (added || d->room_count == 0);
        if (added) {
            before = at;
            before.ended = !goes_on(routed, i, true);
            j->amid = &before;
        }
    }
    j->amid = NULL;
    return fine;
}

bool journal_can_carry(const struct catalogue *c, const struct record *record, const struct routed *routed)
{
    const struct lane *lanes;
    catalogue_lanes(c, &lanes);
    for (size_t i = 0; i < routed->delivery_count; i++) {
        const struct delivery *d = &routed->deliveries[i];
        const struct lane *lane = &lanes[d->operation->lane];
        struct envelope e;
        if (d->room_count > 0 && !measure(&e, lane, d, record, routed, (struct envelope_notes){0}))
            return false;
    }
    return true;
}

/* Who needs any of what is missing needs to know: the entry stands where the last of it stood. */
void journal_append_gap(
    struct journal *j, const struct catalogue *c, uint32_t partition, const struct gap *gap)
{
    const struct lane *lanes;
    size_t count = catalogue_lanes(c, &lanes);
    for (size_t i = 0; i < count; i++) {
        struct buffer text = {0};
        if (j->pace)
            j->pace(j->pace_owner);
        gap_write_json(gap, &text);
        struct envelope e;
        envelope_begin_plain(&e, &lanes[i], "gap", buffer_slice(&text));
        envelope_write(&e, hotlog_reserve(j->log, e.size));
        uint32_t room = rooms_hold(j->rooms, lanes[i].index, ROOM_OF_ALL);
        hotlog_append(j->log, &(struct hotlog_append){
                                  .partition = partition,
                                  .offset = gap->to > gap->from ? gap->to - 1 : gap->from,
                                  .head_size = (uint16_t)e.header_size,
                                  .tail_size = (uint16_t)e.tail_size,
                                  .uniform = e.uniform,
                                  .rooms = &room,
                                  .room_count = 1,
                              });
        buffer_finish(&text);
    }
}

void journal_begin(struct journal *j, uint32_t partition, int64_t next, struct anchor anchor)
{
    cursor_mint_advance(j->mint, partition, next, anchor);
    hotlog_advance(j->log, partition, next);
}

void journal_advance(struct journal *j, uint32_t partition, int64_t next, const struct record *record)
{
    struct anchor anchor = {.offset = -1};
    if (record)
        anchor = (struct anchor){record->offset, record->time_ms, anchor_hash(record->key, record->value)};
    cursor_mint_advance(j->mint, partition, next, anchor);
    hotlog_advance(j->log, partition, next);
}

/* Makes room: every second one of the older three quarters goes. */
static void thin_out(struct journal *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->post_count; i++)
        if (i >= POSTS / 4 * 3 || i % 2 == 0)
            j->posts[kept++] = j->posts[i];
    j->post_count = kept;
}

static void post(struct journal *j)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    uint64_t position = hotlog_next(j->log);
    size_t size = cursor_mint_stamp(j->mint, position, j->amid, cursor);
    if (size == 0)
        return;
    lock_take(&j->lock);
    if (j->post_count > 0 && j->posts[j->post_count - 1].position == position)
        j->post_count--;
    else if (j->post_count == POSTS)
        thin_out(j);
    struct post *p = &j->posts[j->post_count++];
    p->position = position;
    p->size = (uint8_t)size;
    memcpy(p->cursor, cursor, size + 1);
    lock_give(&j->lock);
}

void journal_publish(struct journal *j)
{
    post(j); /* first, so that who sees the entries finds their cursor */
    hotlog_publish(j->log);
}

bool journal_checkpoint(struct journal *j, bool even_unmoved, struct buffer *out, uint64_t *tag)
{
    if (!even_unmoved && !cursor_mint_moved(j->mint))
        return false;
    *tag = ++j->next_tag;
    uint64_t sequence = hotlog_next(j->log);
    j->sent[*tag % 64] = (struct sent){*tag, sequence};
    cursor_mint_checkpoint(j->mint, j->partitions, sequence, *tag, out);
    return true;
}

void journal_acknowledge(struct journal *j, uint64_t tag, int64_t offset)
{
    cursor_mint_acknowledged(j->mint, tag, offset);
    if (j->sent[tag % 64].tag == tag) {
        uint32_t count;
        const int64_t *base = cursor_mint_base(j->mint, &count);
        cursor_bases_add(j->bases, offset, base, count);
        lock_take(&j->lock);
        size_t at = j->checkpoint_count++ % CHECKPOINTS;
        j->checkpoints[at].offset = offset;
        j->checkpoints[at].sequence = j->sent[tag % 64].sequence;
        lock_give(&j->lock);
    }
    post(j);
}

uint32_t journal_covered(const struct journal *j)
{
    uint32_t count;
    (void)cursor_mint_base(j->mint, &count);
    return count;
}

size_t journal_cursor(struct journal *j, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    size_t size = 0;
    lock_take(&j->lock);
    size_t low = 0, high = j->post_count; /* the first one beyond the position */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->posts[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && j->posts[low - 1].position >= least) {
        size = j->posts[low - 1].size;
        memcpy(out, j->posts[low - 1].cursor, size + 1);
    }
    lock_give(&j->lock);
    return size;
}

uint64_t journal_position(struct journal *j, const struct cursor *c)
{
    uint64_t position = UINT64_MAX;
    lock_take(&j->lock);
    if (!c->placed || c->nonce != atomic_load(&j->nonce)) {
        lock_give(&j->lock);
        return UINT64_MAX;
    }
    size_t kept = j->checkpoint_count < CHECKPOINTS ? j->checkpoint_count : CHECKPOINTS;
    for (size_t i = 1; i <= kept; i++) {
        size_t at = (j->checkpoint_count - i) % CHECKPOINTS;
        if (j->checkpoints[at].offset == c->checkpoint) {
            position = j->checkpoints[at].sequence + c->ahead;
            break;
        }
        if (j->checkpoints[at].offset < c->checkpoint)
            break;
    }
    lock_give(&j->lock);
    return position <= hotlog_head(j->log) ? position : UINT64_MAX;
}
