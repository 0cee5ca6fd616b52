/* command_parse.c: how a command line becomes a struct command_line: the table of switches, and the verb that is meant. */
#include "base/nearest.h"
#include "server/command_line.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 16

enum flag_kind { FLAG_BARE, FLAG_VALUE, FLAG_VALUES, FLAG_PATH, FLAG_PATHS }; /* a value is a word, or a path; it may be said again, or not */

/* struct flag: where its value goes; without a value it is only noted as given. */
struct flag {
    const char *name;
    uint64_t bit;
    enum flag_kind kind;
    size_t at;
};

#define VALUE(name, bit, field)                                                                                                            \
    {                                                                                                                                      \
        name, bit, FLAG_VALUE, offsetof(struct command_line, field)                                                                 \
    }
#define PATH(name, bit, field)                                                                                                             \
    {                                                                                                                                      \
        name, bit, FLAG_PATH, offsetof(struct command_line, field)                                                                  \
    }

static const struct flag flags[] = {
    PATH("--userdb", COMMAND_FLAG(USERDB), userdb),
    VALUE("--realm", COMMAND_FLAG(REALM), realm),
    VALUE("--tenant", COMMAND_FLAG(TENANT), tenant),
    VALUE("--from", COMMAND_FLAG(FROM), from),
    VALUE("--to", COMMAND_FLAG(TO), to),
    VALUE("--key", COMMAND_FLAG(KEY), key),
    PATH("--password-file", COMMAND_FLAG(PASSWORD_FILE), password_file),
    VALUE("--algorithm", COMMAND_FLAG(ALGORITHM), algorithm),
    VALUE("--lifetime", COMMAND_FLAG(LIFETIME), lifetime),
    PATH("--admin-socket", COMMAND_FLAG(ADMIN_SOCKET), admin_socket),
    PATH("-c", COMMAND_FLAG(CONFIG), config),
    PATH("--lua-dir", COMMAND_FLAG(LUA_DIR), lua_dir),
    VALUE("--format", COMMAND_FLAG(FORMAT), format),
    VALUE("--user", COMMAND_FLAG(USER), user),
    VALUE("--tag", COMMAND_FLAG(TAG), tag),
    VALUE("--limit", COMMAND_FLAG(LIMIT), limit),
    VALUE("--client", COMMAND_FLAG(CLIENT), client),
    VALUE("--credential", COMMAND_FLAG(CREDENTIAL), credential),
    VALUE("--deadline", COMMAND_FLAG(DEADLINE), deadline),
    VALUE("--decision", COMMAND_FLAG(DECISION), decision),
    VALUE("--type", COMMAND_FLAG(TYPE), type),
    VALUE("--scope", COMMAND_FLAG(SCOPE), scope),
    VALUE("--name", COMMAND_FLAG(NAME), name),
    VALUE("--expires", COMMAND_FLAG(EXPIRES), expires),
    VALUE("--group-by", COMMAND_FLAG(GROUP_BY), group_by),
    VALUE("--sort", COMMAND_FLAG(SORT), sort),
    VALUE("-e", COMMAND_FLAG(EXPRESSION), expression),
    VALUE("--ttl", COMMAND_FLAG(TTL), ttl),
    VALUE("--room", COMMAND_FLAG(ROOM), room),
    VALUE("--max-bps", COMMAND_FLAG(MAX_BPS), max_bps),
    VALUE("--max-allocations", COMMAND_FLAG(MAX_ALLOCATIONS), max_allocations),
    PATH("--mint-secret-file", COMMAND_FLAG(MINT_SECRET_FILE), mint_secret_file),
    VALUE("--public-host", COMMAND_FLAG(PUBLIC_HOST), public_host),
    VALUE("--url", COMMAND_FLAG(URL), url),
    {"--transport", COMMAND_FLAG(TRANSPORT), FLAG_VALUES, offsetof(struct command_line, transports)},
    VALUE("--filter", COMMAND_FLAG(FILTER), filter),
    VALUE("--coverage-min", COMMAND_FLAG(COVERAGE_MIN), coverage_min),
    PATH("--junit", COMMAND_FLAG(JUNIT), junit),
    PATH("--out", COMMAND_FLAG(OUT), out),
    VALUE("--password", COMMAND_FLAG(PASSWORD), password),
    VALUE("--seconds", COMMAND_FLAG(SECONDS), seconds),
    {"--set", COMMAND_FLAG(SET), FLAG_VALUES, offsetof(struct command_line, sets)},
    {"--policy", COMMAND_FLAG(POLICY), FLAG_PATHS, offsetof(struct command_line, policies)},
    {"--secret", COMMAND_FLAG(SECRET), FLAG_VALUES, offsetof(struct command_line, secrets)},
    {"--force", COMMAND_FLAG(FORCE), FLAG_BARE, 0},
    {"--key-stdin", COMMAND_FLAG(KEY_STDIN), FLAG_BARE, 0},
    {"--password-stdin", COMMAND_FLAG(PASSWORD_STDIN), FLAG_BARE, 0},
    {"--secret-stdin", COMMAND_FLAG(SECRET_STDIN), FLAG_BARE, 0},
    {"--json", COMMAND_FLAG(JSON), FLAG_BARE, 0},
    {"--coverage", COMMAND_FLAG(COVERAGE), FLAG_BARE, 0},
    {"--describe", COMMAND_FLAG(DESCRIBE), FLAG_BARE, 0},
    {"--live", COMMAND_FLAG(LIVE), FLAG_BARE, 0},
    {"--insecure", COMMAND_FLAG(INSECURE), FLAG_BARE, 0},
    {"--cancel", COMMAND_FLAG(CANCEL), FLAG_BARE, 0},
};

#define FLAGS (sizeof flags / sizeof *flags)

static bool is_path(const struct flag *flag)
{
    return flag->kind == FLAG_PATH || flag->kind == FLAG_PATHS;
}

static bool repeats(const struct flag *flag)
{
    return flag->kind == FLAG_VALUES || flag->kind == FLAG_PATHS;
}

bool command_switch(const struct command *command, size_t index, struct command_switch *out)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if (!(command->flags & flags[i].bit) || index-- > 0)
            continue;
        *out = (struct command_switch){flags[i].name, flags[i].kind != FLAG_BARE, is_path(&flags[i])};
        return true;
    }
    size_t count;
    const struct command_own *own = command_own(command, &count);
    if (index >= count)
        return false;
    *out = (struct command_switch){own[index].name, own[index].kind != OWN_BARE, own[index].kind == OWN_PATH};
    return true;
}

/* find_command: words are `user` `add`, or `usage`; *used: how many of them. */
static const struct command *find_command(int argc, char **argv, int *used)
{
    size_t count;
    const struct command *table = commands(&count);
    for (size_t i = 0; i < count; i++) {
        const char *verb = strchr(table[i].name, ' ');
        const size_t noun = verb ? (size_t)(verb - table[i].name) : strlen(table[i].name);
        if (strlen(argv[1]) != noun || strncmp(argv[1], table[i].name, noun) != 0)
            continue;
        if (verb && (argc < 3 || strcmp(argv[2], verb + 1) != 0))
            continue;
        *used = verb ? 3 : 2;
        return &table[i];
    }
    return NULL;
}

/* verbs_of: those of the noun, into `out`; how many. */
static size_t verbs_of(const char *noun, const char *out[NAMES_MAX])
{
    const size_t len = strlen(noun);
    size_t all, count = 0;
    const struct command *table = commands(&all);
    for (size_t i = 0; i < all; i++)
        if (strncmp(table[i].name, noun, len) == 0 && table[i].name[len] == ' ')
            out[count++] = table[i].name + len + 1;
    return count;
}

static void print_usage(FILE *out, const struct command *command)
{
    size_t count;
    const struct command_own *own = command_own(command, &count);
    fprintf(out, "usage: relay %s %s\n       %s\n", command->name, command->synopsis, command->summary);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %-12s %s\n", own[i].name, own[i].help);
}

static void print_usages(FILE *out, const char *noun)
{
    const size_t len = strlen(noun);
    size_t count;
    const struct command *table = commands(&count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(table[i].name, noun, len) == 0 && table[i].name[len] == ' ')
            print_usage(out, &table[i]);
}

/* `relay user`, `relay user ad`: -1 if it is no noun either. */
static int no_verb(int argc, char **argv)
{
    const char *verbs[NAMES_MAX];
    const size_t count = verbs_of(argv[1], verbs);
    if (count == 0)
        return -1;
    if (argc > 2 && strcmp(argv[2], "--help") == 0) {
        print_usages(stdout, argv[1]);
        return COMMAND_DONE;
    }
    const char *meant = argc > 2 ? nearest(argv[2], verbs, count) : NULL;
    if (meant)
        fprintf(stderr, "relay %s: %s is no verb: did you mean %s?\n", argv[1], argv[2], meant);
    else
        fprintf(stderr, "relay %s: %s\n", argv[1], argc > 2 ? "no such verb" : "a verb must follow");
    print_usages(stderr, argv[1]);
    return COMMAND_MISUSED;
}

static const struct flag *find_flag(const struct command *command, const char *text, size_t len)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (command->flags & flags[i].bit && strlen(flags[i].name) == len && strncmp(flags[i].name, text, len) == 0)
            return &flags[i];
    return NULL;
}

/* find_own: its place in the verb's table; negative: it is not there. */
static int find_own(const struct command *command, const char *text, size_t len)
{
    size_t count;
    const struct command_own *own = command_own(command, &count);
    for (size_t i = 0; i < count; i++)
        if (strlen(own[i].name) == len && strncmp(own[i].name, text, len) == 0)
            return (int)i;
    return -1;
}

static int unknown_flag(const struct command_line *line, const char *text, size_t len)
{
    const char *names[FLAGS + COMMAND_OWN_MAX];
    struct command_switch known;
    char word[64];
    size_t count = 0;
    while (command_switch(line->command, count, &known))
        names[count++] = known.name;
    const char *meant = nearest(view_copy(view_of(text, len), word, sizeof word), names, count);
    return command_fail(line, COMMAND_MISUSED, "%s: unknown option%s%s%s", word, meant ? ": did you mean " : "", meant ? meant : "",
                        meant ? "?" : "");
}

struct arguments {
    int argc;
    char **argv;
};

static int add_value(const struct command_line *line, const char *name, struct command_values *values, const char *value)
{
    if (values->count == COMMAND_VALUES_MAX)
        return command_fail(line, COMMAND_MISUSED, "%s is given more than %d times", name, COMMAND_VALUES_MAX);
    values->at[values->count++] = value;
    return 0;
}

/* keep_value: where the flag wants it. */
static int keep_value(struct command_line *line, const struct flag *flag, const char *value)
{
    if (repeats(flag))
        return add_value(line, flag->name, (struct command_values *)(void *)((char *)line + flag->at), value);
    memcpy((char *)line + flag->at, &value, sizeof value);
    return 0;
}

/* take_value: behind `=`, or the next argument; NULL, and it is said: there is none. */
static const char *take_value(const struct command_line *line, const char *name, const struct arguments *from, int *at)
{
    const char *text = from->argv[*at] + strcspn(from->argv[*at], "=");
    const char *value = *text ? text + 1 : *at + 1 < from->argc ? from->argv[++*at] : "";
    if (*value)
        return value;
    command_fail(line, COMMAND_MISUSED, "%s needs a value", name);
    return NULL;
}

/* take_own: a switch that this verb alone has. */
static int take_own(struct command_line *line, int place, const struct arguments *from, int *at)
{
    size_t count;
    const struct command_own *own = command_own(line->command, &count) + place;
    struct command_values *values = &line->own[place];
    if (values->count && own->kind != OWN_VALUES)
        return command_fail(line, COMMAND_MISUSED, "%s is given twice", own->name);
    if (own->kind == OWN_BARE)
        return strchr(from->argv[*at], '=') ? command_fail(line, COMMAND_MISUSED, "%s has no value", own->name) : add_value(line, own->name, values, "");
    const char *value = take_value(line, own->name, from, at);
    return value ? add_value(line, own->name, values, value) : COMMAND_MISUSED;
}

/* take_flag: `--name value`, `--name=value` or `--name`; *at moves over what is used up. */
static int take_flag(struct command_line *line, const struct arguments *from, int *at)
{
    const char *text = from->argv[*at];
    const size_t len = strcspn(text, "=");
    const struct flag *flag = find_flag(line->command, text, len);
    const int own = find_own(line->command, text, len);
    if (own >= 0)
        return take_own(line, own, from, at);
    if (!flag)
        return unknown_flag(line, text, len);
    if (line->given & flag->bit && !repeats(flag))
        return command_fail(line, COMMAND_MISUSED, "%s is given twice", flag->name);
    line->given |= flag->bit;
    if (flag->kind == FLAG_BARE)
        return text[len] ? command_fail(line, COMMAND_MISUSED, "%s has no value", flag->name) : 0;
    const char *value = take_value(line, flag->name, from, at);
    return value ? keep_value(line, flag, value) : COMMAND_MISUSED;
}

static int check_line(const struct command_line *line)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (line->command->needs & ~line->given & flags[i].bit)
            return command_fail(line, COMMAND_MISUSED, "%s is missing", flags[i].name);
    if (line->word_count < line->command->words_min)
        return command_fail(line, COMMAND_MISUSED, "something is missing");
    if (line->word_count > line->command->words_max)
        return command_fail(line, COMMAND_MISUSED, "%s: one too many", line->words[line->command->words_max]);
    return 0;
}

/* Words are gathered at the front of argv, behind the command's name. Behind `--` there are only words. */
static int parse(struct command_line *line, int argc, char **argv, int at)
{
    const struct arguments from = {argc, argv};
    bool words_only = false;
    line->words = argv + at;
    for (; at < argc; at++) {
        if (!words_only && strcmp(argv[at], "--") == 0) {
            words_only = true;
        } else if (words_only || strncmp(argv[at], "-", 1) != 0) {
            line->words[line->word_count++] = argv[at];
        } else {
            const int code = take_flag(line, &from, &at);
            if (code)
                return code;
        }
    }
    return check_line(line);
}

int command_run(int argc, char **argv)
{
    int used;
    if (argc < 2)
        return -1;
    const struct command *command = find_command(argc, argv, &used);
    if (!command)
        return no_verb(argc, argv);
    if (argc > used && strcmp(argv[used], "--help") == 0) {
        print_usage(stdout, command);
        return COMMAND_DONE;
    }
    struct command_line line = {.command = command, .userdb = COMMAND_USERDB};
    const int code = parse(&line, argc, argv, used);
    return code ? code : command->run(&line);
}
