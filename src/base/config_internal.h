/* What the files that load settings share. config.c owns the table, the values and the life of a struct
   config, config_sources.c collects what each source gives, config_rules.c knows what one row of the table
   cannot tell. */
#pragma once

#include "causeway/config.h"

enum config_kind { KIND_TEXT, KIND_LIST, KIND_NUMBER, KIND_BYTES, KIND_SECONDS };

enum setting_id {
#define X(member, kind, name, fallback, min, max, secret, help) SETTING_##member,
    CONFIG_TABLE(X)
#undef X
        SETTING_COUNT
};

struct setting {
    const char *name;
    const char *fallback;
    const char *help;
    size_t offset; /* in struct config */
    int64_t min, max;
    enum config_kind kind;
    bool secret;
};

extern const struct setting config_settings[SETTING_COUNT];

struct config_origin {
    const char *source; /* NULL: the default */
    int line;           /* 0: the source has no lines */
};

struct config_given {
    char *value; /* NULL: the default holds */
    struct config_origin from;
};

struct config_loader {
    struct config *config;
    struct buffer *faults;
    struct config_given given[SETTING_COUNT];
    bool broken[SETTING_COUNT]; /* has a fault already: no rule may look at it */
};

/* Every fault is one line: begin it with where the value came from, then print the rest. */
void config_begin_fault(struct config_loader *l, struct config_origin from);

/* Fills `given` and the Kafka properties, the stronger source replacing the weaker. */
void config_collect(struct config_loader *l, const struct config_sources *sources);

/* Checks the values that are in place. */
void config_check_rules(struct config_loader *l, bool need_keys);

/* Digits, for bytes with a unit; nothing else may stand there. */
bool config_parse_number(const char *text, bool bytes, int64_t *out);
void config_print_amount(struct buffer *out, enum config_kind kind, int64_t amount);

/* Cuts the next item, without blanks around it, off a comma list; false at the end. Items may be empty. */
bool config_next_item(const char **list, struct slice *item);
