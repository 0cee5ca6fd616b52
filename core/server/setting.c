/* setting.c: the text of a value becomes a field of struct config: one function for each kind of option. */
#include "base/err.h"
#include "base/opaque.h"
#include "net/http.h"
#include "server/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 107

void setting_error(const struct setting *setting, const char *format, ...)
{
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    const bool remark = setting->value && !(setting->option->traits & OPTION_CONFIDENTIAL) && strstr(setting->value, " #");
    loader_error(setting->loader, setting->where, setting->option->name, "%s%s", reason,
                 remark ? "; a remark needs a line of its own" : "");
}

const char *setting_quote(const struct setting *setting, char out[QUOTE_MAX])
{
    if (setting->option->traits & OPTION_CONFIDENTIAL)
        return "the value";
    return log_quote(view_text(setting->value), out, QUOTE_MAX);
}

static void *field(const struct setting *setting)
{
    return (char *)setting->loader->config + setting->option->at;
}

static void *append(const struct setting *setting, size_t item_size)
{
    size_t *count = (size_t *)(void *)((char *)setting->loader->config + setting->option->count_at);
    return loader_append(setting->loader, field(setting), count, item_size);
}

static char *keep(const struct setting *setting, const char *text, size_t len)
{
    return loader_keep(setting->loader, view_of(text, len));
}

int parse_flag(const char *text, bool *on)
{
    static const char *const words[2][6] = {{"0", "false", "no", "off", "f", "n"}, {"1", "true", "yes", "on", "t", "y"}};
    for (size_t truth = 0; truth < 2; truth++)
        for (size_t i = 0; i < 6; i++)
            if (strcasecmp(text, words[truth][i]) == 0) {
                *on = truth == 1;
                return 0;
            }
    return ERR_BAD;
}

static void set_flag(const struct setting *setting)
{
    char quote[QUOTE_MAX];
    bool *on = field(setting);
    if (!setting->value)
        *on = true;
    else if (parse_flag(setting->value, on) != 0)
        setting_error(setting, "%s is neither yes nor no", setting_quote(setting, quote));
}

static int parse_number(const char *text, uint64_t *out)
{
    *out = 0;
    if (!*text)
        return ERR_BAD;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return ERR_BAD;
        *out = *out * 10 + (uint64_t)(*text - '0');
        if (*out > UINT32_MAX)
            *out = (uint64_t)UINT32_MAX + 1;
    }
    return 0;
}

static void set_number(const struct setting *setting)
{
    const struct option *option = setting->option;
    char quote[QUOTE_MAX];
    uint64_t number;
    if (parse_number(setting->value, &number) != 0)
        setting_error(setting, "%s is not a number", setting_quote(setting, quote));
    else if (number < option->min || number > option->max)
        setting_error(setting, "%s is not within %u to %u", setting_quote(setting, quote), option->min, option->max);
    else if (option->kind == OPTION_PORT)
        *(uint16_t *)field(setting) = (uint16_t)number;
    else
        *(uint32_t *)field(setting) = (uint32_t)number;
}

int file_unreadable(const char *path)
{
    struct stat stat;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int err = fd < 0 || fstat(fd, &stat) != 0 ? errno : S_ISDIR(stat.st_mode) ? EISDIR : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static bool is_readable(const struct setting *setting, const char *path)
{
    char quote[QUOTE_MAX];
    const int err = setting->option->traits & OPTION_READABLE ? file_unreadable(path) : 0;
    if (err)
        setting_error(setting, "%s cannot be read: %s", log_quote(view_text(path), quote, sizeof quote), strerror(err));
    return err == 0;
}

static bool has_good_length(const struct setting *setting)
{
    const size_t len = strlen(setting->value);
    if (len >= setting->option->min && len <= setting->option->max)
        return true;
    setting_error(setting, "the value has %zu bytes, not %u to %u", len, setting->option->min, setting->option->max);
    return false;
}

static void set_choice(const struct setting *setting)
{
    const size_t len = strlen(setting->value);
    char quote[QUOTE_MAX];
    uint8_t number = 0;
    for (const char *word = setting->option->value; word; number++) {
        const char *stop = strchr(word, '|');
        if (strncmp(word, setting->value, len) == 0 && (stop ? stop == word + len : word[len] == 0)) {
            *(uint8_t *)field(setting) = number;
            return;
        }
        word = stop ? stop + 1 : NULL;
    }
    setting_error(setting, "%s is none of %s", setting_quote(setting, quote), setting->option->value);
}

/* prepare: `text` by the OpaqueString profile, of at most `most` bytes. False: told. */
static bool prepare(const struct setting *setting, const char *what, struct view text, size_t most, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    if (opaque_enforce(text, out, &len, why) != 0)
        setting_error(setting, "%s %s", what, why);
    else if (len > most)
        setting_error(setting, "%s has %zu bytes, more than %zu", what, len, most);
    else
        return true;
    return false;
}

/* keep_prepared: a copy of the prepared text; NULL: told, or out of memory. */
static char *keep_prepared(const struct setting *setting, const char *what, struct view text, size_t most)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    return prepare(setting, what, text, most, prepared) ? loader_keep(setting->loader, view_text(prepared)) : NULL;
}

static void set_text(const struct setting *setting)
{
    if (!has_good_length(setting))
        return;
    const struct view value = view_text(setting->value);
    const bool prepares = setting->option->traits & OPTION_PREPARED;
    const char *text = prepares ? keep_prepared(setting, "the value", value, setting->option->max) : loader_keep(setting->loader, value);
    if (text)
        *(const char **)field(setting) = text;
}

static void add_text(const struct setting *setting)
{
    if (!has_good_length(setting) || !is_readable(setting, setting->value))
        return;
    const char *text = keep(setting, setting->value, strlen(setting->value)), **item = text ? append(setting, sizeof *item) : NULL;
    if (item)
        *item = text;
}

static void add_file(const struct setting *setting)
{
    struct config_file file = {.where = setting->where}, *item;
    if (has_good_length(setting) && (file.path = keep(setting, setting->value, strlen(setting->value))) != NULL &&
        (item = append(setting, sizeof *item)) != NULL)
        *item = file;
}

static int parse_ip(const struct setting *setting, struct view text, struct addr *out)
{
    char quote[QUOTE_MAX];
    if (addr_parse_ip(text, out) == 0)
        return 0;
    setting_error(setting, "%s is not an IP address; names are not resolved", log_quote(text, quote, sizeof quote));
    return ERR_BAD;
}

static void add_address(const struct setting *setting)
{
    struct addr addr, *item;
    if (parse_ip(setting, view_text(setting->value), &addr) == 0 && (item = append(setting, sizeof *item)) != NULL)
        *item = addr;
}

static void add_range(const struct setting *setting)
{
    char quote[QUOTE_MAX];
    struct cidr_range range;
    if (cidr_parse(view_text(setting->value), &range) != 0)
        setting_error(setting, "%s is none of ADDRESS, ADDRESS/BITS and FIRST-LAST", setting_quote(setting, quote));
    else if (cidr_add(field(setting), &range) != 0)
        setting->loader->out_of_memory = true;
}

static void add_external(const struct setting *setting)
{
    const char *slash = strchr(setting->value, '/');
    const struct view text = view_text(setting->value);
    const struct view shown = slash ? view_cut(text, (size_t)(slash - setting->value)) : text;
    struct config_external external = {.where = setting->where}, *item;
    if (parse_ip(setting, shown, &external.shown) != 0 || (slash && parse_ip(setting, view_text(slash + 1), &external.local) != 0))
        return;
    if (addr_is_any(&external.shown) || (slash && addr_is_any(&external.local)))
        setting_error(setting, "an address of all zeroes cannot be shown");
    else if (slash && external.shown.family != external.local.family)
        setting_error(setting, "one address is IPv4, the other IPv6");
    else if ((item = append(setting, sizeof *item)) != NULL)
        *item = external;
}

static bool has_user(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->user_count; i++)
        if (strcmp(config->users[i].name, name) == 0)
            return true;
    return false;
}

/* user_password: kept as it is: turn/password.h makes of it what the clients do. */
static bool user_password(const struct setting *setting, struct view password, struct config_user *out)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    if (prepare(setting, "the password", password, OPAQUE_MAX_LEN, prepared))
        out->password = loader_keep(setting->loader, password);
    crypto_wipe(prepared, sizeof prepared);
    return out->password;
}

/* user_secret: the part behind the colon: 0x and a key, or a password. False: told. */
static bool user_secret(const struct setting *setting, const char *secret, struct config_user *out)
{
    const size_t len = strlen(secret);
    if (strncmp(secret, "0x", 2) != 0)
        return user_password(setting, view_of(secret, len), out);
    out->has_key = len == 2 + 2 * sizeof out->key && crypto_hex_decode(view_text(secret + 2), out->key, sizeof out->key) == 0;
    if (!out->has_key)
        setting_error(setting, "what follows 0x must be 32 hexadecimal digits, the MD5 of name:realm:password");
    return out->has_key;
}

static void add_user(const struct setting *setting)
{
    const char *colon = strchr(setting->value, ':');
    const size_t len = colon ? (size_t)(colon - setting->value) : 0;
    struct config_user user = {0}, *item;
    char quote[QUOTE_MAX];
    if (len == 0 || !colon[1]) {
        setting_error(setting, "needs NAME:PASSWORD or NAME:0xKEY");
        return;
    }
    if (!(user.name = keep_prepared(setting, "the name", view_of(setting->value, len), NAME_MAX_LEN)) ||
        !user_secret(setting, colon + 1, &user))
        return;
    if (has_user(setting->loader->config, user.name))
        setting_error(setting, "%s was given before", log_quote(view_text(user.name), quote, sizeof quote));
    else if ((item = append(setting, sizeof *item)) != NULL)
        *item = user;
}

/* split: NAME=REST of the value into two strings that are kept. False: told. */
static bool split(const struct setting *setting, const char **name, const char **rest)
{
    const char *equals = strchr(setting->value, '=');
    char quote[QUOTE_MAX];
    if (!equals || equals == setting->value || !equals[1]) {
        setting_error(setting, "%s is not %s", setting_quote(setting, quote), setting->option->value);
        return false;
    }
    *name = keep(setting, setting->value, (size_t)(equals - setting->value));
    *rest = keep(setting, equals + 1, strlen(equals + 1));
    return *name && *rest;
}

static void add_param(const struct setting *setting)
{
    const char *config = (const char *)setting->loader->config;
    struct policy_param param = {.where = setting->where}, *item = NULL, *items;
    size_t count;
    char quote[QUOTE_MAX];
    if (!split(setting, &param.name, &param.value))
        return;
    const char *dot = strchr(param.name, '.');
    if (!dot || dot == param.name || !dot[1]) {
        setting_error(setting, "%s is not %s", setting_quote(setting, quote), setting->option->value);
        return;
    }
    memcpy(&items, config + setting->option->at, sizeof items);
    memcpy(&count, config + setting->option->count_at, sizeof count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].name, param.name) == 0)
            item = &items[i]; /* said again: the later one counts */
    if (item || (item = append(setting, sizeof *item)) != NULL)
        *item = param;
}

static void add_pool(const struct setting *setting)
{
    struct config_pool pool = {.where = setting->where}, *item;
    const char *address;
    char quote[QUOTE_MAX];
    if (!split(setting, &pool.name, &address))
        return;
    if (strlen(pool.name) > NAME_MAX_LEN || addr_parse_ip(view_text(address), &pool.address) != 0)
        setting_error(setting, "%s is not %s", setting_quote(setting, quote), setting->option->value);
    else if ((item = append(setting, sizeof *item)) != NULL)
        *item = pool;
}

static void add_secret_file(const struct setting *setting)
{
    struct config *config = setting->loader->config;
    struct policy_secret secret, *item = NULL;
    if (!split(setting, &secret.name, &secret.path) || !is_readable(setting, secret.path))
        return;
    for (size_t i = 0; i < config->policy_secret_count; i++)
        if (strcmp(config->policy_secrets[i].name, secret.name) == 0)
            item = &config->policy_secrets[i];
    if (item || (item = append(setting, sizeof *item)) != NULL)
        *item = secret;
}

/* An address without a port gets the option's; what is behind a slash is ALTERNATE-DOMAIN. */
static void add_alternate(const struct setting *setting)
{
    const struct view value = view_text(setting->value);
    const size_t len = strcspn(setting->value, "/");
    const struct view domain = view_from(value, len + 1);
    struct alternate alternate = {0}, *item;
    struct addr *server = &alternate.servers[0];
    char quote[QUOTE_MAX];
    if (addr_parse(view_cut(value, len), server) != 0 || addr_is_any(server))
        setting_error(setting, "%s is not %s; names are not resolved", setting_quote(setting, quote), setting->option->value);
    else if (len < value.len && !addr_is_domain(domain))
        setting_error(setting, "%s is not a domain name", log_quote(domain, quote, sizeof quote));
    else if ((item = append(setting, sizeof *item)) != NULL) {
        server->port = server->port ? server->port : (uint16_t)setting->option->min;
        view_copy(domain, alternate.domain, sizeof alternate.domain);
        *item = alternate;
    }
}

/* An address without a port gets the option's. */
static void add_server(const struct setting *setting)
{
    struct addr server, *item;
    char quote[QUOTE_MAX];
    if (addr_parse(view_text(setting->value), &server) != 0 || addr_is_any(&server))
        setting_error(setting, "%s is not %s; names are not resolved", setting_quote(setting, quote), setting->option->value);
    else if ((item = append(setting, sizeof *item)) != NULL) {
        server.port = server.port ? server.port : (uint16_t)setting->option->min;
        *item = server;
    }
}

static void add_host(const struct setting *setting)
{
    char quote[QUOTE_MAX];
    const char *wrong = http_rule_check(setting->value), *text, **item;
    if (wrong)
        setting_error(setting, "%s %s", setting_quote(setting, quote), wrong);
    else if ((text = keep(setting, setting->value, strlen(setting->value))) != NULL && (item = append(setting, sizeof *item)) != NULL)
        *item = text;
}

/* A port must be said: there is none that everybody knows. */
static void add_door(const struct setting *setting)
{
    static const char scheme[] = "unix:";
    const bool is_unix = strncmp(setting->value, scheme, sizeof scheme - 1) == 0;
    const char *path = setting->value + sizeof scheme - 1;
    struct config_door door = {.where = setting->where, .option = setting->option->name}, *item;
    char quote[QUOTE_MAX];
    const bool is_good = is_unix ? *path && strlen(path) <= SOCKET_PATH_MAX : addr_parse(view_text(setting->value), &door.at) == 0 && door.at.port;
    if (!is_good)
        setting_error(setting, "%s is neither ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080, nor unix:PATH", setting_quote(setting, quote));
    else if ((!is_unix || (door.path = keep(setting, path, strlen(path))) != NULL) && (item = append(setting, sizeof *item)) != NULL)
        *item = door;
}

static void set_action(const struct setting *setting)
{
    setting->loader->config->action = (enum config_action)setting->option->min;
}

static void (*const setters[OPTION_KINDS])(const struct setting *) = {
    [OPTION_FLAG] = set_flag,
    [OPTION_TEXT] = set_text,
    [OPTION_NUMBER] = set_number,
    [OPTION_PORT] = set_number,
    [OPTION_CHOICE] = set_choice,
    [OPTION_TEXTS] = add_text,
    [OPTION_FILES] = add_file,
    [OPTION_ADDRESSES] = add_address,
    [OPTION_RANGES] = add_range,
    [OPTION_EXTERNALS] = add_external,
    [OPTION_POOLS] = add_pool,
    [OPTION_USERS] = add_user,
    [OPTION_PARAMS] = add_param,
    [OPTION_SECRETS] = add_secret_file,
    [OPTION_ALTERNATES] = add_alternate,
    [OPTION_SERVERS] = add_server,
    [OPTION_HOSTS] = add_host,
    [OPTION_DOORS] = add_door,
    [OPTION_ACTION] = set_action,
};

void setting_apply(const struct setting *setting)
{
    struct setting said = *setting;
    if (said.value && !*said.value)
        said.value = NULL; /* "name=" is the bare name, as coturn reads it */
    if (!said.value)
        said.value = said.option->bare;
    if (!said.value && option_takes_value(said.option)) {
        setting_error(&said, "needs a value: %s", said.option->value);
        return;
    }
    setters[said.option->kind](&said);
    if (said.where)
        said.loader->config->origins[said.option - options] = said.where;
}
