#include "unit.h"

#include "causeway/template.h"

#include <stdio.h>

static struct template *compiled(const char *text)
{
    const char *fault;
    struct template *t = template_compile(slice_of(text), &fault);
    if (!t)
        fail_msg("'%s': %s", text, fault);
    assert_null(fault);
    return t;
}

static void syntax_faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } table[] = {
        {"", "an empty text"},
        {"a-{", "a '{' without '}'"},
        {"a-{b", "a '{' without '}'"},
        {"a-{b{c}", "a '{' without '}'"},
        {"a-b}", "a '}' without '{'"},
        {"{a}}", "a '}' without '{'"},
        {"{}", "a placeholder with an empty name"},
        {"{?}", "a placeholder with an empty name"},
        {"{a..b}", "a placeholder with an empty name"},
        {"{.a}", "a placeholder with an empty name"},
        {"{a.}", "a placeholder with an empty name"},
        {"{[]}", "a placeholder with a character that names cannot have"},
        {"{a b}", "a placeholder with a character that names cannot have"},
        {"{a[0]}", "a placeholder with a character that names cannot have"},
        {"{a?.b}", "a placeholder with a character that names cannot have"},
        {"{a?[]}", "a placeholder with a character that names cannot have"},
        {"{a[]}-{b[]}", "more than one []"},
        {"{a[].b[]}", "more than one []"},
        {"{a}{b}", "two placeholders without text between them"},
        {"a\nb", "a control character"},
        {"{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}", "more than 8 placeholders"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *fault = NULL;
        struct template *t = template_compile(slice_of(table[i].text), &fault);
        if (t || !fault || strcmp(fault, table[i].fault) != 0)
            fail_msg("'%s' gives '%s'", table[i].text, fault ? fault : "no fault");
    }
    char dots[130] = "{";
    for (int i = 0; i < 40; i++)
        strcat(dots, i ? ".a" : "a");
    strcat(dots, "}");
    const char *fault;
    assert_null(template_compile(slice_of(dots), &fault));
    assert_string_equal(fault, "too many path segments");
    char longest[TEMPLATE_TEXT_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_null(template_compile((struct slice){longest, sizeof longest}, &fault));
    assert_string_equal(fault, "longer than 512 bytes");
    struct template *t = template_compile((struct slice){longest, TEMPLATE_TEXT_MAX}, &fault);
    assert_non_null(t);
    template_destroy(t);
}

static void a_placeholder_is_a_path_of_steps(void **state)
{
    (void)state;
    struct template *t = compiled("a-{order.people[].user_id?}-{$headers.user.id}");
    assert_int_equal(template_placeholders(t), 2);
    assert_true(slice_is(template_text(t), "a-{order.people[].user_id?}-{$headers.user.id}"));
    const struct template_field *first = template_field(t, 0), *second = template_field(t, 1);
    assert_true(slice_is(template_placeholder(t, 0), "order.people[].user_id"));
    assert_int_equal(first->step_count, 3);
    assert_true(slice_is(first->steps[1].name, "people"));
    assert_false(first->steps[0].array);
    assert_true(first->steps[1].array);
    assert_false(first->steps[2].array);
    assert_true(slice_is(first->steps[2].name, "user_id"));
    assert_true(first->optional && first->array);
    assert_false(second->optional || second->array);
    assert_true(slice_is(second->steps[0].name, "$headers"));
    assert_int_equal(second->step_count, 3);
    template_destroy(t);
    template_destroy(NULL);
}

static void writing_puts_values_between_the_constants(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct template *t = compiled("{a}-x-{b}!");
    buffer_add_text(&out, "kept ");
    template_write(t, (struct slice[]){SLICE("1"), SLICE("zwei")}, &out);
    assert_string_equal(buffer_text(&out), "kept 1-x-zwei!");
    template_destroy(t);
    buffer_clear(&out);
    t = compiled("constant");
    template_write(t, NULL, &out);
    assert_string_equal(buffer_text(&out), "constant");
    template_destroy(t);
    buffer_finish(&out);
}

/* `captures` is what the placeholders take, joined by '|'; NULL: no match. */
static void check_match(const char *pattern, const char *name, const char *captures)
{
    struct template *t = compiled(pattern);
    struct slice taken[TEMPLATE_PLACEHOLDERS_MAX];
    bool matched = template_match(t, slice_of(name), taken);
    struct buffer got = {0};
    for (size_t i = 0; matched && i < template_placeholders(t); i++)
        buffer_print(&got, "%s%.*s", i ? "|" : "", SLICE_ARGS(taken[i]));
    if (matched != (captures != NULL) || (matched && strcmp(buffer_text(&got), captures) != 0))
        fail_msg("'%s' on '%s' gives %s", pattern, name, matched ? buffer_text(&got) : "no match");
    buffer_finish(&got);
    template_destroy(t);
}

static void a_pattern_takes_plain_text_only(void **state)
{
    (void)state;
    check_match("admin-orders", "admin-orders", "");
    check_match("admin-orders", "admin-order", NULL);
    check_match("admin-orders", "admin-orders2", NULL);
    check_match("city-{city_id}-orders", "city-17-orders", "17");
    check_match("city-{city_id}-orders", "city-a-orders-b-orders", "a-orders-b");
    check_match("city-{city_id}-orders", "city--orders", NULL);
    check_match("city-{city_id}-orders", "city-orders", NULL);
    check_match("city-{city_id}-orders", "city-17-order", NULL);
    check_match("city-{city_id}-orders", "xcity-17-orders", NULL);
    check_match("city-{city_id}-orders", "", NULL);
    check_match("{a}", "x", "x");
    check_match("{a}", "", NULL);
    check_match("user-{id}", "user-a.b_c@d-E9", "a.b_c@d-E9");
    check_match("user-{id}", "user-a b", NULL);
    check_match("user-{id}", "user-{id}", NULL);
    check_match("user-{id}", "user-a/b", NULL);
    check_match("user-{id}", "user-\xc3\xa9", NULL);
    check_match("user-{id}", "user-a\n", NULL);
    check_match("aa{x}aa", "aaa", NULL);
    check_match("aa{x}aa", "aabaa", "b");
}

static void a_name_with_two_readings_matches_nothing(void **state)
{
    (void)state;
    check_match("t:{a}:{b}", "t:1:2", "1|2");
    check_match("t:{a}:{b}", "t:1:2:3", NULL);
    check_match("{a}-{b}", "1-2", "1|2");
    check_match("{a}-{b}", "1-2-3", NULL);
    check_match("{a}-{b}", "1--2", NULL);
    check_match("{a}-{b}", "-2", NULL);
    check_match("{a}-{b}", "1-", NULL);
    check_match("{a}-x-{b}-y-{c}", "1-x-2-y-3", "1|2|3");
    check_match("{a}-x-{b}-y-{c}", "1-x-2-y-3-y-4", NULL);
    check_match("{a}-x-{b}-y-{c}", "1-y-2-x-3", NULL);
    check_match("{a}xx{b}", "1xxx2", NULL);
}

static void check_shape(const char *a, const char *b, bool same)
{
    struct template *left = compiled(a), *right = compiled(b);
    assert_int_equal(template_same_shape(left, right), same);
    assert_int_equal(template_same_shape(right, left), same);
    template_destroy(left);
    template_destroy(right);
}

static void shape_is_the_constant_text(void **state)
{
    (void)state;
    check_shape("city-{a}-orders", "city-{order.city[]?}-orders", true);
    check_shape("city-{a}-orders", "city-{a}-order", false);
    check_shape("city-{a}", "city-{a}-", false);
    check_shape("admin", "admin", true);
    check_shape("admin", "admin{a}", false);
}

static void templates_overlap_when_one_name_fits_both(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"user-{id}", "user-{id}-admin", true},
        {"user-{id}", "user:{id}", false},
        {"user:{id}", "user:{id}:admin", false}, /* placeholders take no ':' */
        {"user-{id}", "user-", false},
        {"user-{id}", "user-1", true},
        {"admin-orders", "admin-orders", true},
        {"admin-orders", "{role}-orders", true},
        {"admin-orders", "city-{id}-orders", false},
        {"{a}-x", "y-{b}", true},
        {"{a}-x-{b}", "{c}:{d}", false},
        {"a{x}b", "a{x}c", false},
        {"{a}", "{b}{c}", true},
        {"seat-{hall}-{seat}", "seat-{hall}", true},
        {"\xc3\xa4-{x}", "{y}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *fault;
        struct template *a = template_compile(slice_of(rows[i].a), &fault);
        struct template *b = template_compile(slice_of(rows[i].b), &fault);
        if (a && b &&
            (template_overlap(a, b) != rows[i].overlap || template_overlap(b, a) != rows[i].overlap))
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        template_destroy(a);
        template_destroy(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_faults_are_named),
        cmocka_unit_test(a_placeholder_is_a_path_of_steps),
        cmocka_unit_test(writing_puts_values_between_the_constants),
        cmocka_unit_test(a_pattern_takes_plain_text_only),
        cmocka_unit_test(a_name_with_two_readings_matches_nothing),
        cmocka_unit_test(shape_is_the_constant_text),
        cmocka_unit_test(templates_overlap_when_one_name_fits_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
