#include "causeway/dotenv.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static struct slice skip_blanks(struct slice s)
{
    while (s.size && is_blank(s.data[0]))
        s = (struct slice){s.data + 1, s.size - 1};
    return s;
}

static struct slice trim_end(struct slice s)
{
    while (s.size && is_blank(s.data[s.size - 1]))
        s.size--;
    return s;
}

/* Takes one line off the text, without its LF or CRLF. */
static struct slice take_line(struct dotenv *d)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    if (d->line++ == 0 && strncmp(d->rest, byte_order_mark, sizeof byte_order_mark - 1) == 0)
        d->rest += sizeof byte_order_mark - 1;
    struct slice line = {d->rest, strcspn(d->rest, "\n")};
    d->rest += line.size;
    if (*d->rest)
        d->rest++;
    if (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

static const char *read_plain(struct dotenv *d, struct slice text)
{
    size_t end = 0;
    while (end < text.size && !(text.data[end] == '#' && (end == 0 || is_blank(text.data[end - 1]))))
        end++;
    buffer_add_slice(&d->value, trim_end((struct slice){text.data, end}));
    return NULL;
}

/* The byte that `\c` stands for in double quotes; NUL when it stands for nothing. */
static char escaped(char c)
{
    static const char pairs[] = "n\nt\tr\r\"\"\\\\$$";
    for (size_t i = 0; pairs[i]; i += 2)
        if (pairs[i] == c)
            return pairs[i + 1];
    return '\0';
}

static const char *read_quoted(struct dotenv *d, struct slice text)
{
    char quote = text.data[0];
    size_t i = 1;
    for (; i < text.size && text.data[i] != quote; i++) {
        char c = text.data[i];
        if (quote == '"' && c == '\\') {
            if (++i == text.size || !(c = escaped(text.data[i])))
                return "unknown escape; in double quotes \\n \\t \\r \\\" \\\\ \\$ are known";
        }
        buffer_add_byte(&d->value, c);
    }
    if (i == text.size)
        return "the quote is not closed on this line";
    struct slice behind = skip_blanks((struct slice){text.data + i + 1, text.size - i - 1});
    return behind.size && behind.data[0] != '#' ? "there is text behind the closing quote" : NULL;
}

static const char *read_setting(struct dotenv *d, struct slice line)
{
    static const struct slice word = {"export", 6};
    if (slice_starts(line, word) && line.size > word.size && is_blank(line.data[word.size]))
        line = skip_blanks((struct slice){line.data + word.size, line.size - word.size});
    size_t size = 0;
    while (size < line.size && is_name(line.data[size]))
        size++;
    d->name = (struct slice){line.data, size};
    struct slice text = skip_blanks((struct slice){line.data + size, line.size - size});
    if (size == 0 || text.size == 0 || text.data[0] != '=')
        return "not of the form NAME=value";
    text = skip_blanks((struct slice){text.data + 1, text.size - 1});
    bool quoted = text.size && (text.data[0] == '"' || text.data[0] == '\'');
    return quoted ? read_quoted(d, text) : read_plain(d, text);
}

bool dotenv_next(struct dotenv *d)
{
    while (*d->rest) {
        struct slice line = skip_blanks(take_line(d));
        if (line.size == 0 || line.data[0] == '#')
            continue;
        buffer_clear(&d->value);
        d->fault = read_setting(d, line);
        return true;
    }
    return false;
}

void dotenv_finish(struct dotenv *d)
{
    buffer_finish(&d->value);
}
