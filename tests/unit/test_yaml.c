/* Documents as files: each test writes its own into a fresh directory. */
#include "unit.h"

#include "causeway/yaml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char directory[64];
    struct buffer fault, path;
};

static int enter(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char pattern[] = "/tmp/causeway-yaml-XXXXXX";
    char *real = mkdtemp(pattern) ? realpath(pattern, NULL) : NULL;
    if (!real)
        return -1;
    (void)snprintf(f->directory, sizeof(f->directory), "%s", real);
    free(real);
    *state = f;
    return 0;
}

static const char *path_of(struct fixture *f, const char *name)
{
    buffer_clear(&f->path);
    buffer_print(&f->path, "%s/%s", f->directory, name);
    return buffer_text(&f->path);
}

static void remove_all(const char *directory)
{
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type == DT_DIR)
            remove_all(path);
        else
            (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(directory);
}

static int leave(void **state)
{
    struct fixture *f = *state;
    remove_all(f->directory);
    buffer_finish(&f->fault);
    buffer_finish(&f->path);
    free(f);
    return 0;
}

static void write_bytes(struct fixture *f, const char *name, struct slice text)
{
    const char *path = path_of(f, name);
    char directory[512];
    (void)snprintf(directory, sizeof(directory), "%s", path);
    *strrchr(directory, '/') = '\0';
    (void)mkdir(directory, 0700);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    assert_int_equal(fclose(file), 0);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, slice_of(text));
}

static struct document *load(struct fixture *f, const char *name)
{
    struct document *d = yaml_document_load(path_of(f, name), &f->fault);
    if (!d)
        fail_msg("%s", buffer_text(&f->fault));
    return d;
}

static void expect_json(struct fixture *f, const char *name, const char *expected)
{
    struct document *d = load(f, name);
    struct buffer out = {0};
    assert_true(node_write_json(document_root(d, 0), &out));
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
    document_destroy(d);
}

/* The fault is "<directory>/<where>: ...<why>...", on one line. */
static void expect_fault(struct fixture *f, const char *name, const char *where, const char *why)
{
    struct document *d = yaml_document_load(path_of(f, name), &f->fault);
    assert_null(d);
    const char *fault = buffer_text(&f->fault);
    const char *place = path_of(f, where);
    if (strncmp(fault, place, strlen(place)) != 0 || fault[strlen(place)] != ':' || !strstr(fault, why) ||
        strchr(fault, '\n'))
        fail_msg("%s: expected %s: %s", fault, where, why);
}

static void yaml_becomes_a_tree(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.yaml",
        "%YAML 1.2\n---\n"
        "plain: some text\n"
        "quoted: '123'\n"
        "escaped: \"a\\tb\\u00e9\"\n"
        "numbers: [1, -2.50, 0x1F, 1e3, 9007199254740993]\n"
        "words: [true, False, yes, on, null, ~, '', no]\n"
        "empty:\n"
        "200: status\n"
        "block: |\n  line one\n  line two\n"
        "folded: >-\n  one\n  two\n"
        "flow: {a: {b: []}, c: {}}\n"
        "tagged: [!!str 12, !!int '7', !!float 1, !!null '', ! 5, !!seq [], !!map {}]\n");
    expect_json(f, "a.yaml",
        "{\"plain\":\"some text\",\"quoted\":\"123\",\"escaped\":\"a\\tb\xc3\xa9\","
        "\"numbers\":[1,-2.50,31,1e3,9007199254740993],"
        "\"words\":[true,false,\"yes\",\"on\",null,null,\"\",\"no\"],\"empty\":null,\"200\":\"status\","
        "\"block\":\"line one\\nline two\\n\",\"folded\":\"one two\",\"flow\":{\"a\":{\"b\":[]},\"c\":{}},"
        "\"tagged\":[\"12\",7,1,null,\"5\",[],{}]}");
}

static void nodes_know_their_place(void **state)
{
    struct fixture *f = *state;
    write_file(
        f, "a.yaml", "# comment\nname: x\nlist:\n  - one\n  - two: 2\n\nref: {$ref: b.json#/inner/deep}\n");
    write_file(f, "b.json", "{\n\t\"inner\":\n\t{\"deep\": [1,\n\n2]}}\n");
    struct document *d = load(f, "a.yaml");
    const struct node *root = document_root(d, 0);
    assert_int_equal(node_line(root), 2);
    assert_int_equal(node_line(node_find(root, "name")), 2);
    assert_int_equal(node_line(node_at(node_find(root, "list"), 1)), 5);
    assert_string_equal(node_file(root), path_of(f, "a.yaml"));
    assert_int_equal(node_line(node_find_raw(root, "ref")), 7);
    const struct node *deep = node_find(root, "ref");
    assert_int_equal(node_line(deep), 3);
    assert_int_equal(node_line(node_at(deep, 1)), 5);
    assert_string_equal(node_file(deep), path_of(f, "b.json"));
    document_destroy(d);
}

static void files_that_references_name_are_loaded_with_it(void **state)
{
    struct fixture *f = *state;
    write_file(f, "api/main.yaml",
        "order: {$ref: ../schemas/order.json}\nid: {$ref: '../schemas/order.json#/properties/id'}\n"
        "again: {$ref: './main.yaml#/id'}\nremote: {type: {$ref: 'local%20types.yml#/a~1b'}}\n");
    write_file(f, "api/local types.yml", "a/b: string\n");
    write_file(f, "schemas/order.json",
        "{\"properties\":{\"id\":{\"type\":\"integer\"},\"city\":{\"$ref\":\"city.json\"}}}");
    write_file(f, "schemas/city.json", "{\"name\":\"city\",\"$comment\":\"\\u0041\"}");
    expect_json(f, "api/main.yaml",
        "{\"order\":{\"properties\":{\"id\":{\"type\":\"integer\"},\"city\":{\"name\":\"city\",\"$comment\":"
        "\"A\"}}},"
        "\"id\":{\"type\":\"integer\"},\"again\":{\"type\":\"integer\"},\"remote\":{\"type\":\"string\"}}");
    struct document *d = load(f, "api/main.yaml");
    assert_int_equal(document_files(d), 4); /* each once */
    document_destroy(d);
}

static void files_may_refer_to_each_other(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.yaml", "b: {$ref: 'b.yaml#/value'}\nvalue: 1\ncircle: {$ref: 'b.yaml#/circle'}\n");
    write_file(f, "b.yaml", "value: {$ref: 'a.yaml#/value'}\ncircle: {$ref: 'a.yaml#/circle'}\n");
    struct document *d = load(f, "a.yaml");
    assert_true(slice_is(node_text(node_find(document_root(d, 0), "b")), "1"));
    assert_null(node_find(document_root(d, 0), "circle"));
    document_destroy(d);
}

static void references_elsewhere_are_left_alone(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.yaml",
        "web: {$ref: 'http://example.com/schema.json'}\nroot: {$ref: /no/such/file}\n"
        "properties: {$ref: {type: string}}\nlocal: {$ref: '#/missing'}\n");
    struct document *d = load(f, "a.yaml");
    assert_int_equal(document_files(d), 1);
    assert_null(node_find(document_root(d, 0), "web"));
    document_destroy(d);
}

static void anchors_and_aliases_stand_for_values(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.yaml",
        "base: &b {x: &n 1, y: [*n]}\ncopy: *b\ntwice: [*b, *n]\n&k key: *k\n? *k\n: under an alias\n"
        "later: &n 2\nlast: *n\n");
    expect_fault(f, "a.yaml", "a.yaml:5", "duplicate key \"key\"");
    write_file(f, "a.yaml",
        "base: &b {x: &n 1, y: [*n]}\ncopy: *b\ntwice: [*b, *n]\n&k key: *k\nin: {? *k : v}\nlater: &n 2\n"
        "last: *n\n");
    expect_json(f, "a.yaml",
        "{\"base\":{\"x\":1,\"y\":[1]},\"copy\":{\"x\":1,\"y\":[1]},\"twice\":[{\"x\":1,\"y\":[1]},1],"
        "\"key\":\"key\",\"in\":{\"key\":\"v\"},\"later\":2,\"last\":2}");
}

static void json_files_are_strict_and_may_have_tabs(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.json", "{\n\t\"a\"\t:\t[1.50,\ttrue,\tnull,\"\\ud83d\\ude00\"],\n\t\"<<\":\t{}\n}\n");
    expect_json(f, "a.json", "{\"a\":[1.50,true,null,\"\xf0\x9f\x98\x80\"],\"<<\":{}}");
    write_file(f, "b.JSON", "{a: 1}");
    expect_fault(f, "b.JSON", "b.JSON:1", "a quoted key");
}

static void faults_name_their_place(void **state)
{
    static const struct {
        const char *name;
        struct {
            const char *data;
            size_t size;
        } text;
        const char *where, *why;
    } rows[] = {
#define ROW(name, text, where, why) {name, {text, sizeof(text) - 1}, where, why}
        ROW("a.yaml", "", "a.yaml:1", "empty"),
        ROW("a.yaml", "# nothing\n", "a.yaml:1", "empty"),
        ROW("a.yaml", "a: 1\nb: 2\na: 3\n", "a.yaml:3", "duplicate key \"a\""),
        ROW("a.yaml", "a: 1\n'a': 3\n", "a.yaml:2", "duplicate key \"a\""),
        ROW("a.yaml", "a: 1\n\"a\\nb\": 1\n\"a\\nb\": 3\n", "a.yaml:3", "duplicate key \"a b\""),
        ROW("a.yaml", "a: [1, 2\nb: 3\n", "a.yaml:2", "did not find"),
        ROW("a.yaml", "a:\n\t- 1\n", "a.yaml:2", "cannot start any token"),
        ROW("a.yaml", "a: \"\\q\"\n", "a.yaml:1", "escape"),
        ROW("a.yaml", "a: 1\n---\nb: 2\n", "a.yaml:2", "more than one document"),
        ROW("a.yaml", "a: 1\nb: *c\n", "a.yaml:2", "unknown alias *c"),
        ROW("a.yaml", "a: &a [*a]\n", "a.yaml:1", "unknown alias *a"),
        ROW("a.yaml", "a: &x {b: 1}\nc:\n  <<: *x\n", "a.yaml:3", "merge keys"),
        ROW("a.yaml", "? [a]\n: 1\n", "a.yaml:1", "plain text"),
        ROW("a.yaml", "a: &l []\n? *l\n: 1\n", "a.yaml:2", "plain text"),
        ROW("a.yaml", "a: !!binary aGk=\n", "a.yaml:1", "tag tag:yaml.org,2002:binary"),
        ROW("a.yaml", "a: !own x\n", "a.yaml:1", "tag !own"),
        ROW("a.yaml", "a: !!int x\n", "a.yaml:1", "tag tag:yaml.org,2002:int"),
        ROW("a.yaml", "a: !!map []\n", "a.yaml:1", "tag tag:yaml.org,2002:map"),
        ROW("a.yaml", "a: \"x\\0y\"\n", "a.yaml:1", "NUL"),
        ROW("a.yaml", "a: 1\nb: 2\nc: \"\xff\"\n", "a.yaml:3", "UTF-8"),
        ROW("a.yaml", "a: 1\nb:\n  $ref: missing.yaml\n", "a.yaml:3", "cannot read"),
        ROW("a.yaml", "a: {$ref: '.#/x'}\n", "a.yaml:1", "cannot read"),
        ROW("a.json", "", "a.json:1", "ends too early"),
        ROW("a.json", "{\n\"a\": 1,\n\"a\": 2}", "a.json:3", "duplicate key"),
        ROW("a.json", "{\n\"a\": 1,\n}", "a.json:3", "quoted key"),
        ROW("a.json", "[1]\n[2]", "a.json:2", "bytes behind"),
        ROW("a.json", "{\"a\":\n[{\"$ref\":\n\"gone.json\"}]}", "a.json:2", "cannot read"),
        ROW("nowhere/none.yaml", "", "nowhere/none.yaml:1", "empty"),
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        write_bytes(f, rows[i].name, (struct slice){rows[i].text.data, rows[i].text.size});
        expect_fault(f, rows[i].name, rows[i].where, rows[i].why);
    }
    expect_fault(f, "absent.yaml", "absent.yaml:1", "cannot read");
}

static void a_fault_in_another_file_names_that_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "a.yaml", "x: {$ref: s/b.yaml}\n");
    write_file(f, "s/b.yaml", "ok: 1\nbad: [\n");
    expect_fault(f, "a.yaml", "s/b.yaml:3", "did not find");
}

static void print_nested(struct buffer *b, int depth)
{
    buffer_clear(b);
    for (int i = 0; i < depth; i++)
        buffer_add_byte(b, '[');
    for (int i = 0; i < depth; i++)
        buffer_add_byte(b, ']');
    buffer_add_byte(b, '\n');
}

static void depth_is_limited(void **state)
{
    struct fixture *f = *state;
    struct buffer b = {0};
    print_nested(&b, 100);
    write_bytes(f, "a.yaml", buffer_slice(&b));
    document_destroy(load(f, "a.yaml"));
    print_nested(&b, 101);
    write_bytes(f, "a.yaml", buffer_slice(&b));
    expect_fault(f, "a.yaml", "a.yaml:1", "deeper than 100");
    print_nested(&b, 20000);
    write_bytes(f, "a.yaml", buffer_slice(&b));
    expect_fault(f, "a.yaml", "a.yaml:1", "");
    print_nested(&b, 65);
    write_bytes(f, "a.json", buffer_slice(&b));
    expect_fault(f, "a.json", "a.json:1", "deep");
    buffer_finish(&b);
}

static void alias_bombs_do_not_go_off(void **state)
{
    struct fixture *f = *state;
    struct buffer b = {0};
    buffer_add_text(&b, "a0: &a0 x\n");
    for (int i = 1; i < 20; i++) {
        buffer_print(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buffer_print(&b, "%s*a%d", k ? ", " : "", i - 1);
        buffer_add_text(&b, "]\n");
    }
    write_bytes(f, "a.yaml", buffer_slice(&b));
    expect_fault(f, "a.yaml", "a.yaml:8", "more than 1000000 values");
    buffer_finish(&b);
}

static void file_size_is_limited(void **state)
{
    struct fixture *f = *state;
    struct buffer b = {0};
    size_t most = 4 << 20;
    buffer_add_text(&b, "a: ");
    while (b.size < most)
        buffer_add_byte(&b, 'x');
    write_bytes(f, "a.yaml", buffer_slice(&b));
    document_destroy(load(f, "a.yaml"));
    buffer_add_byte(&b, 'x');
    write_bytes(f, "a.yaml", buffer_slice(&b));
    expect_fault(f, "a.yaml", "a.yaml:1", "larger than 4194304 bytes");
    buffer_finish(&b);
}

static void the_number_of_files_is_limited(void **state)
{
    struct fixture *f = *state;
    char name[32], text[64];
    for (int i = 0; i <= 500; i++) {
        (void)snprintf(name, sizeof(name), "f%d.json", i);
        (void)snprintf(text, sizeof(text), "{\"$ref\":\"f%d.json\"}", i + 1);
        write_file(f, name, i == 500 ? "1" : text);
    }
    expect_fault(f, "f0.json", "f499.json:1", "more than 500 files");
    struct document *d = load(f, "f1.json");
    assert_int_equal(document_files(d), 500);
    document_destroy(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(yaml_becomes_a_tree),
        TEST(nodes_know_their_place),
        TEST(files_that_references_name_are_loaded_with_it),
        TEST(files_may_refer_to_each_other),
        TEST(references_elsewhere_are_left_alone),
        TEST(anchors_and_aliases_stand_for_values),
        TEST(json_files_are_strict_and_may_have_tabs),
        TEST(faults_name_their_place),
        TEST(a_fault_in_another_file_names_that_file),
        TEST(depth_is_limited),
        TEST(alias_bombs_do_not_go_off),
        TEST(file_size_is_limited),
        TEST(the_number_of_files_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
