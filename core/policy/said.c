/* said.c: one row per member that JSON may say: where it goes and what it looks like. */
#include "policy/said.h"

#include "policy/answer.h"
#include "policy/reference.h"

#include "base/err.h"
#include "base/nearest.h"

#include <jansson.h>
#include <string.h>

#define NAMES_MAX 64

struct reading {
    struct scene *scene;
    char *error;
    size_t error_cap;
};

/* A kind: puts a value where it belongs; NULL, or what was expected. */
typedef const char *put_fn(const json_t *value, void *at);

static const char *as_text(const json_t *value, void *at)
{
    const char *text = json_string_value(value);
    if (text)
        memcpy(at, &text, sizeof text);
    return text ? NULL : "a string";
}

static const char *as_view(const json_t *value, void *at)
{
    const struct view view = view_of(json_string_value(value), json_string_length(value));
    if (view.at)
        memcpy(at, &view, sizeof view);
    return view.at ? NULL : "a string";
}

static const char *as_flag(const json_t *value, void *at)
{
    const bool flag = json_is_true(value);
    memcpy(at, &flag, sizeof flag);
    return json_is_boolean(value) ? NULL : "true or false";
}

/* as_number: of `size` bytes. */
static const char *as_number(const json_t *value, void *at, size_t size)
{
    const int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (size < sizeof number && number >> (8 * size)))
        return "a number from 0";
    memcpy(at, &number, size); /* little-endian machines only; see the assertion below */
    return NULL;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as_number");

static const char *as_u8(const json_t *value, void *at)
{
    return as_number(value, at, 1);
}

static const char *as_u32(const json_t *value, void *at)
{
    return as_number(value, at, 4);
}

static const char *as_u64(const json_t *value, void *at)
{
    return as_number(value, at, 8);
}

static const char *as_code(const json_t *value, void *at)
{
    return as_number(value, at, 2);
}

static const char *as_address(const json_t *value, void *at)
{
    struct addr addr;
    const struct view text = view_of(json_string_value(value), json_string_length(value));
    if (!text.at || (addr_parse(text, &addr) != 0 && addr_parse_ip(text, &addr) != 0))
        return "\"192.0.2.1:5000\" or an address without a port";
    memcpy(at, &addr, sizeof addr);
    return NULL;
}

static const char *as_hash(const json_t *value, void *at)
{
    const struct view text = view_of(json_string_value(value), json_string_length(value));
    return text.at && text.len == 2 * (size_t)SCENE_HASH_LEN && crypto_hex_decode(text, at, SCENE_HASH_LEN) == 0 ? NULL
                                                                                                                 : "64 hexadecimal digits";
}

static const char *as_transport(const json_t *value, void *at)
{
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        const uint8_t transport = (uint8_t)i;
        if (!json_is_string(value) || strcmp(json_string_value(value), transport_name(transport)) != 0)
            continue;
        memcpy(at, &transport, sizeof transport);
        return NULL;
    }
    return "udp, tcp, tls or dtls";
}

static const char *as_protocol(const json_t *value, void *at)
{
    const char *text = json_string_value(value);
    const uint8_t number = text && strcmp(text, "udp") == 0 ? PROTOCOL_UDP : text && strcmp(text, "tcp") == 0 ? PROTOCOL_TCP : 0;
    if (!text)
        return as_number(value, at, 1);
    memcpy(at, &number, 1);
    return number ? NULL : "udp, tcp or a number";
}

static const char *as_method(const json_t *value, void *at)
{
    static const uint16_t methods[] = {METHOD_ALLOCATE,     METHOD_REFRESH, METHOD_CREATE_PERMISSION,
                                       METHOD_CHANNEL_BIND, METHOD_CONNECT, METHOD_CONNECTION_BIND};
    static const char *const names[] = {"allocate", "refresh", "permission", "channel", "connect", "bind"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), names[i]) == 0) {
            memcpy(at, &methods[i], sizeof methods[i]);
            return NULL;
        }
    return "allocate, refresh, permission, channel, connect or bind";
}

static const char *as_event(const json_t *value, void *at)
{
    for (enum event_type i = EVENT_ALLOCATED; i <= EVENT_POLICY_ERROR; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), event_name(i)) == 0) {
            memcpy(at, &i, sizeof i);
            return NULL;
        }
    return "allocated, denied, refreshed, permission, closed, auth_failed or policy_error";
}

/* tags: an object of plain values */
static const char *as_tags(const json_t *value, void *at)
{
    char text[TAGS_MAX];
    struct slab out = slab_over(text, sizeof text - 1);
    if (!json_is_object(value))
        return "an object";
    for (void *it = json_object_iter((json_t *)(uintptr_t)value); it; it = json_object_iter_next((json_t *)(uintptr_t)value, it)) {
        const char *member = json_string_value(json_object_iter_value(it));
        if (!member)
            return "an object of strings";
        slab_put_text(&out, out.len ? "," : "");
        slab_put_text(&out, json_object_iter_key(it));
        slab_put_text(&out, "=");
        slab_put_text(&out, member);
    }
    view_copy(slab_view(&out), at, TAGS_MAX);
    return out.overflow ? "at most 511 bytes in all" : NULL;
}

static const struct row {
    char letter; /* of hook_rule.arguments */
    const char *name;
    put_fn *put;
    size_t at;
} rows[] = {
#define ROW(letter, name, put, at)                                                                                                         \
    {                                                                                                                                      \
        letter, name, put, offsetof(struct scene, at)                                                                                      \
    }
    ROW('r', "id", as_u64, request.id),
    ROW('r', "method", as_method, method),
    ROW('r', "now", as_u64, now_s),
    ROW('r', "transport", as_transport, flow.transport),
    ROW('r', "src", as_address, flow.client),
    ROW('r', "dst", as_address, flow.server),
    ROW('r', "sni", as_text, flow.sni),
    ROW('r', "alpn", as_text, flow.alpn),
    ROW('r', "origin", as_text, origin),
    ROW('r', "username", as_view, request.username),
    ROW('r', "userhash", as_hash, hash),
    ROW('r', "realm", as_text, request.realm),
    ROW('r', "tenant", as_text, request.tenant),
    ROW('r', "user", as_text, request.user),
    ROW('r', "software", as_text, software),
    ROW('r', "lifetime", as_u32, request.lifetime_s),
    ROW('r', "requested_transport", as_protocol, request.protocol),
    ROW('r', "requested_family", as_u8, request.family),
    ROW('r', "even_port", as_flag, request.even_port),
    ROW('r', "reservation", as_flag, request.has_reservation),
    ROW('r', "minted", as_flag, request.is_minted),
    ROW('r', "access_token", as_view, request.access_token),
    ROW('a', "id", as_u64, allocation.id),
    ROW('a', "user", as_text, allocation.user),
    ROW('a', "tenant", as_text, allocation.tenant),
    ROW('a', "realm", as_text, allocation.realm),
    ROW('a', "src", as_address, flow.client),
    ROW('a', "relay", as_address, allocation.relayed_shown),
    ROW('a', "transport", as_transport, flow.transport),
    ROW('a', "relay_transport", as_protocol, allocation.protocol),
    ROW('a', "created", as_u64, created_s),
    ROW('a', "expires", as_u64, expires_s),
    ROW('a', "bytes_in", as_u64, allocation.usage.bytes_in),
    ROW('a', "bytes_out", as_u64, allocation.usage.bytes_out),
    ROW('a', "packets_in", as_u64, allocation.usage.packets_in),
    ROW('a', "packets_out", as_u64, allocation.usage.packets_out),
    ROW('a', "permissions", as_u32, allocation.permissions),
    ROW('a', "channels", as_u32, allocation.channels),
    ROW('a', "connections", as_u32, allocation.tcp_peers),
    ROW('a', "group", as_text, allocation.group_name),
    ROW('a', "tags", as_tags, labels.tags),
    ROW('u', "bytes_in", as_u64, delta.bytes_in),
    ROW('u', "bytes_out", as_u64, delta.bytes_out),
    ROW('u', "packets_in", as_u64, delta.packets_in),
    ROW('u', "packets_out", as_u64, delta.packets_out),
    ROW('u', "closing", as_flag, question.closing),
    ROW('e', "type", as_event, event.type),
    ROW('e', "code", as_code, event.code),
    ROW('e', "reason", as_text, event.reason),
    ROW('e', "by", as_text, event.by),
    ROW('e', "decision_id", as_u64, event.decision),
    ROW('e', "method", as_method, event.method),
    ROW('e', "user", as_text, event.user),
    ROW('e', "tenant", as_text, event.tenant),
    ROW('e', "realm", as_text, event.realm),
    ROW('e', "username", as_view, event.username),
    ROW('e', "src", as_address, flow.client),
    ROW('e', "transport", as_transport, flow.transport),
    ROW('e', "peer", as_address, peer),
    ROW('e', "allocation", as_u64, allocation.id),
    ROW('e', "bytes_in", as_u64, allocation.usage.bytes_in),
    ROW('e', "bytes_out", as_u64, allocation.usage.bytes_out),
    ROW('e', "packets_in", as_u64, allocation.usage.packets_in),
    ROW('e', "packets_out", as_u64, allocation.usage.packets_out),
    ROW('e', "seconds", as_u64, seconds),
    ROW('e', "group", as_text, allocation.group_name),
    ROW('e', "tags", as_tags, labels.tags),
    ROW('p', "", as_address, peer), /* these three are values without members */
    ROW('n', "", as_code, question.channel),
    ROW('k', "", as_method, question.method),
#undef ROW
};
#define ROWS (sizeof rows / sizeof *rows)

/* ---- reading ---- */

__attribute__((format(printf, 2, 3))) static int refuse(const struct reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->error, reading->error_cap, format, arguments);
    va_end(arguments);
    return ERR_BAD;
}

static const struct row *find_row(char letter, const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static const char *called(char letter)
{
    static const char letters[] = "pnk";
    static const char *const names[] = {"peer", "number", "kind"};
    const char *at = strchr(letters, letter);
    return at ? names[at - letters] : reference_argument(letter)->name;
}

static int put(const struct reading *reading, const struct row *row, const json_t *value)
{
    const char *expected = row->put(value, (char *)reading->scene + row->at);
    const bool has_members = *row->name;
    if (expected)
        return refuse(reading, "%s%s%s: %s expected", called(row->letter), has_members ? "." : "", row->name, expected);
    return 0;
}

/* unknown: a name that is neither a member of `letter` nor one of the others that the hook is shown. */
static int unknown(const struct reading *reading, char letter, const char *others, const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    const struct shown *shown = reference_argument(letter);
    if (shown && reference_find(shown, name))
        return refuse(reading, "%s.%s follows from others and cannot be said", called(letter), name);
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter)
            names[count++] = rows[i].name;
    for (; *others; others++)
        names[count++] = called(*others);
    const char *best = nearest(name, names, count);
    return refuse(reading, "%s has no field '%s'%s%s%s", called(letter), name, best ? "; did you mean '" : "", best ? best : "",
                  best ? "'?" : "");
}

static int read_value(const struct reading *reading, char letter, const json_t *value);

/* read_members: of what `letter` stands for; at the top also those of `others`. */
static int read_members(const struct reading *reading, char letter, const char *others, json_t *object)
{
    int err = 0;
    for (void *it = json_object_iter(object); it && !err; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        const struct row *row = find_row(letter, name);
        const char *other = others;
        while (*other && strcmp(called(*other), name) != 0)
            other++;
        if (row)
            err = put(reading, row, json_object_iter_value(it));
        else if (*other)
            err = read_value(reading, *other, json_object_iter_value(it));
        else
            err = unknown(reading, letter, others, name);
    }
    return err;
}

static int read_value(const struct reading *reading, char letter, const json_t *value)
{
    const struct row *whole = find_row(letter, "");
    if (whole)
        return put(reading, whole, value);
    if (!json_is_object(value))
        return refuse(reading, "%s: an object expected", called(letter));
    return read_members(reading, letter, "", (json_t *)(uintptr_t)value);
}

int said_read(struct scene *scene, const char *letters, struct json_t *json, char *error, size_t error_cap)
{
    const struct reading reading = {scene, error, error_cap};
    if (!json_is_object(json))
        return refuse(&reading, "an object expected: '{\"user\": \"ann\"}'");
    return read_members(&reading, letters[0], letters, json);
}

int said_parse(const char *text, size_t len, struct json_t **json, char *error, size_t error_cap)
{
    json_error_t why;
    *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!*json)
        snprintf(error, error_cap, "no JSON: %s", why.text);
    return *json ? 0 : ERR_BAD;
}
