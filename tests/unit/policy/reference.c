/* lua/README.md names all that a policy may use, and nothing else; run from the top of the source.
 *
 * Whatever refuses an unknown name asks `nearest` for the one that was meant, and so shows it all the names that it knows. The `nearest` of
 * this program writes them down: each row of `places` is a use of the unknown name `zz`.
 *
 * In the page, a table whose head begins with a name in backticks lists members of it, in backticks, in its first column:
 * `req` | `method` is req.method; `shared` | `shared:incr(key, {init?, ttl})` is shared.incr, shared.incr.init, shared.incr.ttl.
 */
#include "geo.h"
#include "stage.h"

#include "base/nearest.h"
#include "policy/answer.h"

#include <ctype.h>
#include <glob.h>

#define PAGE "lua/README.md"
#define NAMES_MAX 512

struct names {
    int count;
    char name[NAMES_MAX][64];
};

static struct names offered; /* what the code knows, as "relay.allow.tags" */
static const char *asked;    /* the place that is being tried */

/* add: `name` of `owner` (if there is one), colons as dots; where it is kept. */
static const char *add(struct names *names, const char *owner, const char *name, size_t len)
{
    char *kept = names->name[names->count++];
    struct slab out = slab_over(kept, sizeof names->name[0] - 1);
    slab_put_text(&out, owner);
    slab_put_text(&out, *owner ? "." : "");
    slab_put(&out, view_of(name, len));
    if (out.overflow || names->count == NAMES_MAX)
        abort();
    kept[out.len] = 0;
    for (char *at = kept; (at = strchr(at, ':'));)
        *at = '.';
    return kept;
}

/* has: `name`, or if `within` something in it. */
static bool has(const struct names *names, const char *name, bool within)
{
    const size_t len = strlen(name);
    for (int i = 0; i < names->count; i++)
        if (strncmp(names->name[i], name, len) == 0 && (!names->name[i][len] || (within && names->name[i][len] == '.')))
            return true;
    return false;
}

const char *nearest(const char *word, const char *const *words, size_t count)
{
    if (strcmp(word, "zz") != 0)
        abort();
    for (size_t i = 0; i < count; i++)
        add(&offered, asked, words[i], strlen(words[i]));
    return NULL;
}

static const struct {
    const char *name;
    enum hook hook;
    const char *parameters, *use;
} places[] = {
    {"_G", HOOK_init, "", "zz"},
    {"ctx", HOOK_init, "ctx", "ctx.zz"},
    {"req", HOOK_authorize, "req", "req.zz"},
    {"alloc", HOOK_usage, "alloc", "alloc.zz"},
    {"used", HOOK_usage, "_, used", "used.zz"},
    {"ev", HOOK_log, "ev", "ev.zz"},
    {"address", HOOK_permission, "_, peer", "peer.zz"},
    {"relay", HOOK_init, "", "relay.zz"},
    {"relay.base64", HOOK_init, "", "relay.base64.zz"},
    {"relay.http", HOOK_init, "", "relay.http.zz"},
    {"relay.http.get", HOOK_authorize, "", "relay.http.get('', {zz = 1})"},
    {"relay.http.post", HOOK_authorize, "", "relay.http.post('', {zz = 1})"},
    {"relay.json", HOOK_init, "", "relay.json.zz"},
    {"relay.jwt", HOOK_init, "", "relay.jwt.zz"},
    {"relay.jwt.verify", HOOK_init, "", "relay.jwt.verify('x', relay.jwt.keys('k.json'), {zz = 1})"},
    {"mmdb", HOOK_init, "", "relay.mmdb('g.mmdb').zz"},
    {"relay.log", HOOK_init, "", "relay.log.zz"},
    {"relay.metric", HOOK_init, "", "relay.metric.zz"},
    {"relay.timer", HOOK_init, "", "relay.timer.zz"},
    {"relay.users", HOOK_init, "", "relay.users.zz"},
    {"relay.allow", HOOK_init, "", "relay.allow{zz = 1}"},
    {"relay.key", HOOK_init, "", "relay.key{zz = 1}"},
    {"relay.lookup", HOOK_init, "", "relay.lookup('u', {zz = 1})"},
    {"relay.tenant", HOOK_init, "", "relay.tenant('t', {zz = 1})"},
    {"relay.redirect", HOOK_init, "", "relay.redirect{zz = 1}"},
    {"relay.params", HOOK_init, "", "relay.params('n', {x = {zz = 1}})"},
    {"relay.shared", HOOK_init, "", "relay.shared('s', {zz = 1})"},
    {"relay.ratelimit", HOOK_init, "", "relay.ratelimit('r', {zz = 1})"},
    {"relay.meter", HOOK_init, "", "relay.meter('m', {zz = 1})"},
    {"relay.timer.every", HOOK_init, "", "relay.timer.every(1, print, {zz = 1})"},
    {"shared", HOOK_init, "", "relay.shared('s', {max_entries = 1}).zz"},
    {"shared.incr", HOOK_init, "", "relay.shared('s', {max_entries = 1}):incr('k', 1, {zz = 1})"},
    {"ratelimit", HOOK_init, "", "relay.ratelimit('r', {rate = 1, burst = 1}).zz"},
    {"meter", HOOK_init, "", "relay.meter('m', {period = 'day'}).zz"},
    {"counter", HOOK_init, "", "relay.metric.counter('c').zz"},
    {"cidr", HOOK_init, "", "relay.cidr{}.zz"},
    {"secret", HOOK_init, "", "relay.secret('s').zz"},
};

static void play(const char *text, enum hook hook)
{
    struct stage stage;
    stage_set(&stage);
    static const char geo[] = GEO(GEO_NOTHING, GEO_DATA, "DE");
    const struct policy_secret secret = {"s", stage_file(&stage, "secret", "x\n")};
    stage_file(&stage, "k.json", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s\"}]}");
    stage_file(&stage, "g.mmdb", "");
    geo_write(stage.directory, "g.mmdb", geo, sizeof geo - 1);
    stage.config.secrets = &secret;
    stage.config.secret_count = 1;
    stage_add(&stage, "p.lua", text);
    const int before = offered.count;
    const bool loaded = stage_load(&stage);
    if (loaded && hook == HOOK_log)
        policy_tell(stage.policy, &(struct event){.flow = &stage.flow, .reason = "", .by = "", .tenant = "", .realm = "", .user = ""});
    else if (loaded)
        stage_ask(&stage, hook);
    if (offered.count == before)
        test_failed(asked, 0, "%s was not refused: %s", text, stage.error);
    stage_clear(&stage);
}

static void offer_everything(void)
{
    offered.count = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char text[256];
        asked = places[i].name;
        snprintf(text, sizeof text, "return {%s = function(%s) local x = %s end}", hook_rules[places[i].hook].name, places[i].parameters,
                 places[i].use);
        play(text, places[i].hook);
    }
    asked = "hook";
    play("return {zz = print}", HOOK_init);
}

static char *read_page(void)
{
    FILE *file = fopen(PAGE, "r");
    char *text = calloc(1, 1 << 17);
    if (!file || !text || fread(text, 1, (1 << 17) - 1, file) == 0)
        test_failed(PAGE, 0, "cannot be read");
    fclose(file);
    return text;
}

static size_t word_len(const char *text)
{
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '_')
        len++;
    return len;
}

/* path_len: of words joined by dots and colons. */
static size_t path_len(const char *text)
{
    size_t len = word_len(text);
    while (len && (text[len] == '.' || text[len] == ':') && word_len(text + len + 1))
        len += 1 + word_len(text + len + 1);
    return len;
}

/* add_options: those of "{init?, ttl}" before `end`. */
static void add_options(struct names *names, const char *path, const char *at, const char *end)
{
    const char *open = memchr(at, '{', (size_t)(end - at));
    for (at = open ? open + 1 : end; at < end && *at != '}'; at += strspn(at, "?, ")) {
        const size_t len = word_len(at);
        if (!len)
            test_failed(PAGE, 0, "%s: options expected: %.20s", path, at);
        add(names, path, at, len);
        at += len;
    }
}

/* add_member: what stands between backticks in the table of `owner`. */
static void add_member(struct names *names, const char *owner, const char *at, const char *end)
{
    const size_t len = path_len(at), owner_len = strlen(owner);
    const bool whole = len > owner_len && strncmp(at, owner, owner_len) == 0 && strchr(".:", at[owner_len]);
    const char *path = add(names, whole ? "" : owner, at, len);
    add_options(names, path, at + len, end);
}

/* documented: the members of every table of the page. */
static void documented(struct names *names, const char *page)
{
    char owner[64] = "";
    names->count = 0;
    for (const char *line = page, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        if (*line != '|')
            *owner = 0;
        if (strncmp(line, "| `", 3) != 0)
            continue;
        if (strncmp(next, "|--", 3) == 0) {
            snprintf(owner, sizeof owner, "%.*s", (int)strcspn(line + 3, "`"), line + 3);
            continue;
        }
        const char *cell = line + 1 + strcspn(line + 1, "|\n"), *end;
        for (const char *at = line; *owner && (at = memchr(at, '`', (size_t)(cell - at))); at = end + 1) {
            end = at + 1 + strcspn(at + 1, "`\n");
            add_member(names, owner, at + 1, end);
        }
    }
}

/* missing: says which of `names` `others` do not have; how many. */
static int missing(const struct names *names, const struct names *others, bool within, const char *what)
{
    int count = 0;
    for (int i = 0; i < names->count; i++)
        if (!has(others, names->name[i], within)) {
            printf("# %s: %s\n", names->name[i], what);
            count++;
        }
    return count;
}

TEST(the_page_names_what_the_code_has_and_nothing_else)
{
    static struct names page;
    char *text = read_page();
    offer_everything();
    documented(&page, text);
    free(text);
    CHECK_INT(missing(&offered, &page, true, "not in " PAGE), 0);
    CHECK_INT(missing(&page, &offered, false, "in " PAGE ", but does not exist"), 0);
}

/* add_modules: lua/relay/NAME.lua as relay.NAME. */
static void add_modules(struct names *names)
{
    glob_t found;
    if (glob("lua/relay/*.lua", 0, NULL, &found))
        test_failed("lua/relay", 0, "no modules");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        add(names, "relay", name, strlen(name) - strlen(".lua"));
    }
    globfree(&found);
}

TEST(every_relay_name_of_the_page_exists_and_every_module_is_on_it)
{
    static struct names modules, said;
    char *text = read_page();
    offer_everything();
    modules.count = said.count = 0;
    add_modules(&modules);
    for (const char *at = text; (at = strstr(at, "relay.")); at += strlen("relay."))
        add(&said, "", at, path_len(at));
    free(text);
    CHECK_INT(missing(&modules, &said, false, "not in " PAGE), 0);
    for (int i = 0; i < modules.count; i++)
        add(&offered, "", modules.name[i], strlen(modules.name[i]));
    CHECK_INT(missing(&said, &offered, true, "in " PAGE ", but does not exist"), 0);
}

static const char *argument_name(char letter)
{
    static const char letters[] = "rauepnkc";
    static const char *const names[] = {"req", "alloc", "used", "ev", "peer", "number", "kind", "ctx"};
    return names[strchr(letters, letter) - letters];
}

/* row_of: the beginning of the line of a hook in the page's table. */
static void row_of(const struct hook_rule *rule, struct slab *out)
{
    char code[8];
    slab_put_text(out, "\n| `");
    slab_put_text(out, rule->name);
    for (const char *letter = rule->arguments; *letter; letter++) {
        slab_put_text(out, letter == rule->arguments ? "(" : ", ");
        slab_put_text(out, argument_name(*letter));
    }
    slab_put_text(out, *rule->arguments ? ")` |" : "()` |");
    for (int kind = 0; kind < VERDICT_LATER; kind++)
        if (rule->kinds & 1u << kind) {
            slab_put_text(out, " `");
            slab_put_text(out, decision_kind(&(struct decision){.kind = (enum verdict_kind)kind}));
            slab_put_text(out, "`");
        }
    slab_put_text(out, " |");
    for (size_t i = 0; i < sizeof rule->codes / sizeof *rule->codes && rule->codes[i]; i++) {
        snprintf(code, sizeof code, " %d", rule->codes[i]);
        slab_put_text(out, code);
    }
    slab_put_text(out, " |");
}

TEST(the_table_of_hooks_says_what_each_is_shown_and_may_return)
{
    char *text = read_page();
    for (size_t hook = 0; hook < HOOK_COUNT; hook++) {
        char row[256] = "";
        struct slab out = slab_over(row, sizeof row - 1);
        row_of(&hook_rules[hook], &out);
        if (!strstr(text, row))
            test_failed(PAGE, 0, "no line begins with %s", row + 1);
    }
    free(text);
}

TEST_LIST(RUN(the_page_names_what_the_code_has_and_nothing_else) RUN(every_relay_name_of_the_page_exists_and_every_module_is_on_it)
              RUN(the_table_of_hooks_says_what_each_is_shown_and_may_return))
