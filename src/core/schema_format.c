/* The formats that are asserted. A schema that names another one is refused, since it would constrain nothing
   without anybody noticing. */
#include "schema_internal.h"

#include "causeway/uri.h"

enum { HOST_MAX = 253, LABEL_MAX = 63, LOCAL_PART_MAX = 64, MAILBOX_MAX = 254 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct slice behind(struct slice s, size_t count)
{
    return (struct slice){s.data + count, s.size - count};
}

/* --- date and time (RFC 3339) --- */

/* Takes exactly `count` digits off the front; -1: they are not there. */
static int take_digits(struct slice *s, size_t count)
{
    int value = 0;
    if (s->size < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(s->data[i]))
            return -1;
        value = value * 10 + (s->data[i] - '0');
    }
    *s = behind(*s, count);
    return value;
}

static bool take_char(struct slice *s, char c)
{
    if (s->size == 0 || *s->data != c)
        return false;
    *s = behind(*s, 1);
    return true;
}

static bool take_date(struct slice *s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(s, 4);
    bool good = year >= 0 && take_char(s, '-');
    int month = good ? take_digits(s, 2) : -1;
    good = month >= 1 && month <= 12 && take_char(s, '-');
    int day = good ? take_digits(s, 2) : -1;
    if (day < 1)
        return false;
    bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + leap;
}

/* Z or +hh:mm, as minutes east of UTC. */
static bool take_offset(struct slice *s, int *minutes)
{
    *minutes = 0;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return true;
    bool west = take_char(s, '-');
    if (!west && !take_char(s, '+'))
        return false;
    int hour = take_digits(s, 2);
    if (hour < 0 || hour > 23 || !take_char(s, ':'))
        return false;
    int minute = take_digits(s, 2);
    *minutes = (west ? -1 : 1) * (hour * 60 + minute);
    return minute >= 0 && minute <= 59;
}

static bool take_time(struct slice *s)
{
    int hour = take_digits(s, 2);
    bool good = hour >= 0 && hour <= 23 && take_char(s, ':');
    int minute = good ? take_digits(s, 2) : -1;
    good = minute >= 0 && minute <= 59 && take_char(s, ':');
    int second = good ? take_digits(s, 2) : -1;
    if (second < 0 || second > 60)
        return false;
    if (take_char(s, '.')) {
        if (take_digits(s, 1) < 0)
            return false;
        while (s->size > 0 && is_digit(*s->data))
            *s = behind(*s, 1);
    }
    int offset;
    if (!take_offset(s, &offset))
        return false;
    /* A leap second is the last one of a day in UTC. */
    int utc = ((hour * 60 + minute - offset) % 1440 + 1440) % 1440;
    return second < 60 || utc == 1439;
}

static bool is_date(struct slice s)
{
    return take_date(&s) && s.size == 0;
}

static bool is_time(struct slice s)
{
    return take_time(&s) && s.size == 0;
}

static bool is_date_time(struct slice s)
{
    return take_date(&s) && (take_char(&s, 'T') || take_char(&s, 't')) && take_time(&s) && s.size == 0;
}

/* --- hosts and mailboxes --- */

static bool is_host(struct slice s, bool international)
{
    size_t label = 0;
    for (size_t i = 0; i <= s.size; i++) {
        if (i == s.size || s.data[i] == '.') {
            if (label == 0 || label > LABEL_MAX || s.data[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        char c = s.data[i];
        bool good = is_alpha(c) || is_digit(c) || (c == '-' && label > 0) ||
                    (international && (unsigned char)c >= 0x80);
        if (!good)
            return false;
        label++;
    }
    return s.size > 0 && s.size <= HOST_MAX;
}

static bool is_hostname(struct slice s)
{
    return is_host(s, false);
}

/* dot-atom or quoted-string of RFC 5321. */
static bool is_local_part(struct slice s, bool international)
{
    bool quoted = s.size > 1 && s.data[0] == '"' && s.data[s.size - 1] == '"';
    struct slice inner = quoted ? (struct slice){s.data + 1, s.size - 2} : s;
    bool dot = !quoted; /* none may begin, end, or follow another */
    for (size_t i = 0; i < inner.size; i++) {
        char c = inner.data[i];
        bool beyond = (unsigned char)c >= 0x80;
        if (c < 0x20 && !beyond)
            return false;
        if (quoted && c == '\\' && ++i == inner.size)
            return false;
        if ((beyond && !international) || (quoted && c == '"'))
            return false;
        if (quoted)
            continue;
        if ((c == '.' && dot) ||
            (c != '.' && !is_alpha(c) && !is_digit(c) && !beyond && !strchr("!#$%&'*+-/=?^_`{|}~", c)))
            return false;
        dot = c == '.';
    }
    return s.size > 0 && s.size <= LOCAL_PART_MAX && (quoted || !dot);
}

static bool is_address_literal(struct slice s)
{
    if (s.size < 3 || s.data[0] != '[' || s.data[s.size - 1] != ']')
        return false;
    s = (struct slice){s.data + 1, s.size - 2};
    return uri_is_ipv4(s) || (slice_starts(s, SLICE("IPv6:")) && uri_is_ipv6(behind(s, 5)));
}

static bool is_mailbox(struct slice s, bool international)
{
    size_t at = s.size;
    while (at > 0 && s.data[at - 1] != '@')
        at--;
    if (at < 2 || s.size > MAILBOX_MAX)
        return false;
    struct slice host = behind(s, at);
    return is_local_part((struct slice){s.data, at - 1}, international) &&
           (is_host(host, international) || is_address_literal(host));
}

static bool is_email(struct slice s)
{
    return is_mailbox(s, false);
}

static bool is_idn_email(struct slice s)
{
    return is_mailbox(s, true);
}

/* --- references --- */

static bool is_uri(struct slice s)
{
    return uri_is_absolute(s, false);
}

static bool is_uri_reference(struct slice s)
{
    return uri_is_reference(s, false);
}

static bool is_iri(struct slice s)
{
    return uri_is_absolute(s, true);
}

static bool is_iri_reference(struct slice s)
{
    return uri_is_reference(s, true);
}

/* {+name,other*,third:3} of RFC 6570, without its braces. */
static bool is_expression(struct slice s)
{
    if (s.size > 0 && strchr("+#./;?&=,!@|", *s.data))
        s = behind(s, 1);
    size_t name = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == ',' && name > 0) {
            name = 0;
        } else if (c == '*' && name > 0) {
            if (i + 1 < s.size && s.data[i + 1] != ',')
                return false;
        } else if (c == ':' && name > 0) {
            size_t digits = 0;
            while (i + 1 < s.size && is_digit(s.data[i + 1])) {
                i++;
                digits++;
            }
            if (digits == 0 || digits > 4 || (i + 1 < s.size && s.data[i + 1] != ','))
                return false;
        } else if (is_alpha(c) || is_digit(c) || c == '_' || c == '%' || (c == '.' && name > 0)) {
            name++;
        } else {
            return false;
        }
    }
    return name > 0;
}

static bool is_uri_template(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '{') {
            const char *end = memchr(s.data + i, '}', s.size - i);
            size_t size = end ? (size_t)(end - s.data) - i - 1 : 0;
            if (!end || !is_expression((struct slice){s.data + i + 1, size}))
                return false;
            i += size + 1;
        } else if ((unsigned char)c <= 0x20 || c == 0x7f || strchr("\"'<>\\^`|}", c)) {
            return false;
        }
    }
    return true;
}

static bool is_json_pointer(struct slice s)
{
    if (s.size > 0 && s.data[0] != '/')
        return false;
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] == '~' && (i + 1 == s.size || (s.data[i + 1] != '0' && s.data[i + 1] != '1')))
            return false;
    return true;
}

static bool is_relative_json_pointer(struct slice s)
{
    size_t digits = 0;
    while (digits < s.size && is_digit(s.data[digits]))
        digits++;
    if (digits == 0 || (digits > 1 && s.data[0] == '0'))
        return false;
    s = behind(s, digits);
    return slice_is(s, "#") || is_json_pointer(s);
}

/* --- others --- */

static bool is_uuid(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.data[i] != '-' : !is_hex(s.data[i]))
            return false;
    }
    return s.size == 36;
}

/* One that we could not run is one all the same. */
static bool is_regex(struct slice s)
{
    enum regex_verdict verdict;
    const char *fault;
    regex_destroy(regex_compile(s, &verdict, &fault));
    return verdict != REGEX_BROKEN;
}

/* --- numbers, as OpenAPI and AsyncAPI name them --- */

static bool is_between(struct decimal d, struct slice least, struct slice most)
{
    return decimal_compare(d, decimal_read(least)) >= 0 && decimal_compare(d, decimal_read(most)) <= 0;
}

static bool is_int32(struct decimal d)
{
    return decimal_is_whole(d) && is_between(d, SLICE("-2147483648"), SLICE("2147483647"));
}

static bool is_int64(struct decimal d)
{
    return decimal_is_whole(d) && is_between(d, SLICE("-9223372036854775808"), SLICE("9223372036854775807"));
}

static bool is_float(struct decimal d)
{
    return is_between(d, SLICE("-3.4028234663852886e38"), SLICE("3.4028234663852886e38"));
}

static bool is_double(struct decimal d)
{
    return is_between(d, SLICE("-1.7976931348623157e308"), SLICE("1.7976931348623157e308"));
}

static const struct schema_format formats[] = {
    {"date-time", is_date_time, NULL},
    {"date", is_date, NULL},
    {"time", is_time, NULL},
    {"email", is_email, NULL},
    {"idn-email", is_idn_email, NULL},
    {"hostname", is_hostname, NULL},
    {"ipv4", uri_is_ipv4, NULL},
    {"ipv6", uri_is_ipv6, NULL},
    {"uri", is_uri, NULL},
    {"uri-reference", is_uri_reference, NULL},
    {"iri", is_iri, NULL},
    {"iri-reference", is_iri_reference, NULL},
    {"uri-template", is_uri_template, NULL},
    {"json-pointer", is_json_pointer, NULL},
    {"relative-json-pointer", is_relative_json_pointer, NULL},
    {"regex", is_regex, NULL},
    {"uuid", is_uuid, NULL},
    {"int32", NULL, is_int32},
    {"int64", NULL, is_int64},
    {"float", NULL, is_float},
    {"double", NULL, is_double},
};

const struct schema_format *schema_format_find(struct slice name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (slice_is(name, formats[i].name))
            return &formats[i];
    return NULL;
}

void schema_format_names(struct buffer *out)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        buffer_print(out, "%s%s", i > 0 ? ", " : "", formats[i].name);
}
