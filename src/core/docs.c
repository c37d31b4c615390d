#include "causeway/docs.h"

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "h2{border-bottom:2px solid #ccc;margin-top:2em}h3{margin-bottom:0}p{white-space:pre-line}"
    "code,pre{font-family:ui-monospace,monospace;background:#f4f4f4;border-radius:4px}code{padding:0 .2em}"
    "pre{padding:.6em;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}"
    "table{border-collapse:collapse}td,th{border:1px solid #ddd;padding:.2em .6em;text-align:left;"
    "vertical-align:top}";

/* --- texts --- */

static void add_escaped(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '&')
            buffer_add_text(out, "&amp;");
        else if (c == '<')
            buffer_add_text(out, "&lt;");
        else if (c == '>')
            buffer_add_text(out, "&gt;");
        else if (c == '"')
            buffer_add_text(out, "&quot;");
        else
            buffer_add_byte(out, c);
    }
}

static void add_element(struct buffer *out, const char *name, struct slice text)
{
    if (text.size == 0)
        return;
    buffer_print(out, "<%s>", name);
    add_escaped(out, text);
    buffer_print(out, "</%s>\n", name);
}

static struct slice text_of(const struct node *n, const char *key)
{
    return node_text(node_find(n, key));
}

static void add_about(struct buffer *out, const struct node *n)
{
    add_element(out, "p", text_of(n, "summary"));
    add_element(out, "p", text_of(n, "description"));
}

static void add_json(struct buffer *out, const char *title, const struct node *n)
{
    struct buffer json = {0};
    if (n && node_write_json(n, &json)) {
        buffer_print(out, "<details><summary>%s</summary>", title);
        add_element(out, "pre", buffer_slice(&json));
        buffer_add_text(out, "</details>\n");
    }
    buffer_finish(&json);
}

/* --- rows of tables --- */

static void add_row(struct buffer *out, const char *title, const struct node *value)
{
    struct buffer json = {0};
    if (value && node_write_json(value, &json)) {
        bool plain = node_type(value) == DOCUMENT_STRING;
        buffer_print(out, "<tr><th>%s</th><td><code>", title);
        add_escaped(out, plain ? node_text(value) : buffer_slice(&json));
        buffer_add_text(out, "</code></td></tr>\n");
    }
    buffer_finish(&json);
}

/* --- sections --- */

static void add_message(struct buffer *out, struct slice key, const struct node *message)
{
    struct slice name = text_of(message, "name");
    buffer_add_text(out, "<h3><code>");
    add_escaped(out, name.size > 0 ? name : key);
    buffer_add_text(out, "</code> ");
    add_escaped(out, text_of(message, "title"));
    buffer_add_text(out, "</h3>\n");
    add_about(out, message);
    add_json(out, "headers", node_find(message, "headers"));
    add_json(out, "payload", node_find(message, "payload"));
    const struct node *examples = node_find(message, "examples");
    for (size_t i = 0; i < node_count(examples); i++) {
        add_json(out, "example", node_find(node_at(examples, i), "payload"));
    }
}

static void add_route(struct buffer *out, struct slice key, const struct node *operation)
{
    const struct node *how = node_find(operation, "x-causeway");
    const struct node *message = node_at(node_find(operation, "messages"), 0);
    if (!how || !node_find(how, "to"))
        return;
    buffer_add_text(out, "<h3>");
    add_escaped(out, key);
    buffer_add_text(out, "</h3>\n");
    add_about(out, operation);
    buffer_add_text(out, "<table>\n");
    add_row(out, "channel", node_find(node_find(operation, "channel"), "address"));
    add_row(out, "event", node_find(message, "name"));
    const struct node *from = node_find(how, "from");
    add_row(out, "from", node_find(from, "name"));
    for (size_t i = 0; node_type(from) == DOCUMENT_LIST && i < node_count(from); i++)
        add_row(out, "from", node_find(node_at(from, i), "name"));
    add_row(out, "to", node_find(how, "to"));
    add_row(out, "except", node_find(how, "except"));
    add_row(out, "ephemeral", node_find(how, "ephemeral"));
    add_row(out, "ack", node_find(how, "ack"));
    buffer_add_text(out, "</table>\n");
}

static void add_channel(struct buffer *out, struct slice key, const struct node *channel)
{
    buffer_add_text(out, "<h2>");
    add_escaped(out, key);
    buffer_add_text(out, ": <code>");
    add_escaped(out, text_of(channel, "address"));
    buffer_add_text(out, "</code></h2>\n");
    add_about(out, channel);
    const struct node *messages = node_find(channel, "messages");
    for (size_t i = 0; i < node_count(messages); i++)
        add_message(out, node_key(messages, i), node_value(messages, i));
}

static void add_room(struct buffer *out, struct slice name, const struct node *room)
{
    buffer_add_text(out, "<h3><code>");
    add_escaped(out, name);
    buffer_add_text(out, "</code></h3>\n<table>\n");
    for (size_t i = 0; i < node_count(room); i++) {
        struct buffer title = {0};
        add_escaped(&title, node_key(room, i));
        add_row(out, buffer_text(&title), node_value(room, i));
        buffer_finish(&title);
    }
    buffer_add_text(out, "</table>\n");
}

static void add_each(struct buffer *out, const char *title, const struct node *map,
    void (*add)(struct buffer *out, struct slice key, const struct node *value))
{
    if (title && node_count(map) > 0)
        buffer_print(out, "<h2>%s</h2>\n", title);
    for (size_t i = 0; i < node_count(map); i++)
        add(out, node_key(map, i), node_value(map, i));
}

void docs_write_html(const struct document *d, struct buffer *out)
{
    const struct node *root = document_root(d, 0), *info = node_find(root, "info");
    buffer_add_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    add_escaped(out, text_of(info, "title"));
    buffer_print(out, "</title><style>%s</style></head><body>\n<h1>", style);
    add_escaped(out, text_of(info, "title"));
    buffer_add_byte(out, ' ');
    add_escaped(out, text_of(info, "version"));
    buffer_add_text(out, "</h1>\n<p>As loaded now; the same for programs: <a "
                         "href=\"/asyncapi.json\">/asyncapi.json</a>.</p>\n");
    add_element(out, "p", text_of(info, "description"));
    add_each(out, "Who gets what", node_find(root, "operations"), add_route);
    add_each(out, "Rooms", node_find(node_find(root, "x-causeway"), "rooms"), add_room);
    add_each(out, NULL, node_find(root, "channels"), add_channel);
    buffer_add_text(out, "</body></html>\n");
}
