/* Runs a file of JSON-Schema-Test-Suite's form through the schema compiler and checker: [{description,
   schema, tests: [{description, data, valid}]}]. Values go from file to checker as they stand, so that no
   number is read by anything else. One line per test: verdict, group, test, and why, parted by tabs; the
   verdict is right, wrong or refused (the schema was not accepted). Or, with --regex, pattern and text per
   line, as hexadecimal digits parted by a tab: 1, 0, broken or unsupported. */
#include "causeway/regex.h"
#include "causeway/schema.h"
#include "causeway/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct suite {
    struct json json;
    struct buffer text, path, complaints, name, scratch;
    struct schema_checker checker;
};

static bool read_file(const char *path, struct buffer *out)
{
    FILE *f = fopen(path, "re");
    for (size_t n = f ? 1 : 0; n > 0; out->size += n)
        n = fread(buffer_reserve(out, 65536), 1, 65536, f);
    return f && fclose(f) == 0;
}

static void keep_complaint(void *owner, const struct node *at, const char *text)
{
    struct suite *s = owner;
    buffer_print(&s->complaints, "%sline %d: %s", s->complaints.size > 0 ? " | " : "", node_line(at), text);
}

static struct slice member_text(struct suite *s, uint32_t object, const char *key)
{
    return json_string(&s->json, json_find(&s->json, object, slice_of(key)), &s->scratch);
}

static void report(struct suite *s, const char *verdict, uint32_t test, const char *why)
{
    printf("%s\t%s\t%.*s\t%s\n", verdict, buffer_text(&s->name),
        SLICE_ARGS(member_text(s, test, "description")), why);
}

static void judge(struct suite *s, const struct schema *schema, uint32_t test)
{
    struct buffer why = {0};
    uint32_t data = json_find(&s->json, test, SLICE("data"));
    bool expected = json_type(&s->json, json_find(&s->json, test, SLICE("valid"))) == JSON_TRUE;
    bool valid = schema_holds(schema, &s->json, data, &s->checker);
    const struct schema_fault *f = &s->checker.fault;
    if (!valid)
        buffer_print(&why, "'%.*s' %s: %.*s", SLICE_ARGS(f->pointer), f->keyword, SLICE_ARGS(f->message));
    report(s, valid == expected ? "right" : "wrong", test, valid ? "it holds" : buffer_text(&why));
    buffer_finish(&why);
}

/* The schema becomes a file of its own, since its references are to be read as such a file's. */
static struct document *write_and_load(struct suite *s, uint32_t schema, struct buffer *fault)
{
    struct slice text = json_verbatim(&s->json, schema);
    FILE *f = fopen(buffer_text(&s->path), "we");
    if (!f || fwrite(text.data, 1, text.size, f) != text.size || fclose(f) != 0) {
        perror(buffer_text(&s->path));
        exit(2);
    }
    return yaml_document_load(buffer_text(&s->path), fault);
}

static void judge_group(struct suite *s, uint32_t group)
{
    struct buffer fault = {0};
    struct document *d = write_and_load(s, json_find(&s->json, group, SLICE("schema")), &fault);
    buffer_clear(&s->complaints);
    buffer_clear(&s->name);
    buffer_add_slice(&s->name, member_text(s, group, "description"));
    struct schema_builder *b = d ? schema_builder_create(d, keep_complaint, s) : NULL;
    const struct schema *schema = b ? schema_builder_add(b, document_root(d, 0)) : NULL;
    struct schema_set *set = b ? schema_builder_finish(b) : NULL;
    document_destroy(d);
    uint32_t tests = json_find(&s->json, group, SLICE("tests"));
    for (uint32_t i = json_first(&s->json, tests); i != JSON_NONE; i = json_after(&s->json, tests, i)) {
        if (schema)
            judge(s, schema, i);
        else
            report(s, "refused", i, buffer_text(d ? &s->complaints : &fault));
    }
    schema_set_destroy(set);
    buffer_finish(&fault);
}

static int judge_file(const char *path, const char *schema_path)
{
    struct suite s = {0};
    buffer_add_text(&s.path, schema_path);
    if (!read_file(path, &s.text) || !json_scan(&s.json, s.text.data, s.text.size)) {
        fprintf(stderr, "%s: %s at byte %u\n", path, s.json.fault ? s.json.fault : "cannot be read",
            s.json.fault_at);
        return 2;
    }
    for (uint32_t i = json_first(&s.json, 0); i != JSON_NONE; i = json_after(&s.json, 0, i))
        judge_group(&s, i);
    schema_checker_finish(&s.checker);
    json_finish(&s.json);
    buffer_finish(&s.text);
    buffer_finish(&s.path);
    buffer_finish(&s.complaints);
    buffer_finish(&s.name);
    buffer_finish(&s.scratch);
    return 0;
}

static void add_hex(struct buffer *out, const char *digits, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        char pair[] = {digits[i], digits[i + 1], '\0'};
        buffer_add_byte(out, (char)strtoul(pair, NULL, 16));
    }
}

static int judge_patterns(void)
{
    char *line = NULL;
    size_t capacity = 0;
    struct buffer pattern = {0}, text = {0};
    struct regex_scratch scratch = {0};
    while (getline(&line, &capacity, stdin) > 0) {
        size_t split = strcspn(line, "\t"), end = strcspn(line, "\n");
        enum regex_verdict verdict;
        const char *fault;
        buffer_clear(&pattern);
        buffer_clear(&text);
        add_hex(&pattern, line, split);
        add_hex(&text, line + split + 1, end - split - 1);
        struct regex *r = regex_compile(buffer_slice(&pattern), &verdict, &fault);
        if (r)
            puts(regex_search(r, buffer_slice(&text), &scratch) ? "1" : "0");
        else
            puts(verdict == REGEX_BROKEN ? "broken" : "unsupported");
        regex_destroy(r);
    }
    regex_scratch_finish(&scratch);
    buffer_finish(&pattern);
    buffer_finish(&text);
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--regex") == 0)
        return judge_patterns();
    if (argc == 3)
        return judge_file(argv[1], argv[2]);
    fputs(
        "usage: schema_judge SUITE.json SCHEMA.json   (the second is written)\n       schema_judge --regex\n",
        stderr);
    return 2;
}
