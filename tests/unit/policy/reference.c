/* The rows of reference.h name all that a policy may use, and nothing else; lua/README.md and the stubs are what is printed of them. Run
 * from the top of the source.
 *
 * Whatever refuses an unknown name asks `nearest` for the one that was meant, and so shows it all the names that it knows. The `nearest` of
 * this program writes them down: each row of `places` is a use of the unknown name `zz`.
 *
 * In the page, a table whose head begins with a name in backticks lists members of it, in backticks, in its first column:
 * `req` | `method` is req.method; `shared` | `shared:get(key)` is shared.get.
 */
#include "geo.h"
#include "stage.h"

#include "base/nearest.h"
#include "policy/answer.h"
#include "policy/page.h"
#include "policy/reference.h"
#include "policy/signature.h"
#include "policy/stubs.h"

#include <ctype.h>
#include <glob.h>
#include <lualib.h>

#define PAGE "lua/README.md"
#define STUBS "lua/relay/meta/relay.lua"
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
    {"relay.db", HOOK_init, "", "relay.db.zz"},
    {"relay.dns", HOOK_init, "", "relay.dns.zz"},
    {"relay.dns.lookup", HOOK_authorize, "", "relay.dns.lookup('', {zz = 1})"},
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
    {"relay.allow.meter", HOOK_init, "", "relay.allow{meter = {relay.meter('m', {period = 'day'}), 'k', zz = 1}}"},
    {"relay.key", HOOK_init, "", "relay.key{zz = 1}"},
    {"relay.lookup", HOOK_init, "", "relay.lookup('u', {zz = 1})"},
    {"relay.tenant", HOOK_init, "", "relay.tenant('t', {zz = 1})"},
    {"relay.redirect", HOOK_init, "", "relay.redirect{zz = 1}"},
    {"relay.params", HOOK_init, "", "relay.params('n', {x = {zz = 1}})"},
    {"relay.shared", HOOK_init, "", "relay.shared('s', {zz = 1})"},
    {"relay.ratelimit", HOOK_init, "", "relay.ratelimit('r', {zz = 1})"},
    {"relay.meter", HOOK_init, "", "relay.meter('m', {zz = 1})"},
    {"relay.gate", HOOK_init, "", "relay.gate('g', {zz = 1})"},
    {"relay.timer.every", HOOK_init, "", "relay.timer.every(1, print, {zz = 1})"},
    {"shared", HOOK_init, "", "relay.shared('s', {max_entries = 1}).zz"},
    {"shared.incr", HOOK_init, "", "relay.shared('s', {max_entries = 1}):incr('k', 1, {zz = 1})"},
    {"ratelimit", HOOK_init, "", "relay.ratelimit('r', {rate = 1, burst = 1}).zz"},
    {"meter", HOOK_init, "", "relay.meter('m', {period = 'day'}).zz"},
    {"gate", HOOK_init, "", "relay.gate('g', {max = 1}).zz"},
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

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 17);
    if (!file || !text || fread(text, 1, (1 << 17) - 1, file) == 0)
        test_failed(path, 0, "cannot be read");
    fclose(file);
    return text;
}

static char *read_page(void)
{
    return read_file(PAGE);
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

/* add_member: what stands between backticks in the table of `owner`. */
static void add_member(struct names *names, const char *owner, const char *at, const char *end)
{
    const size_t len = *at == '[' ? (size_t)(end - at) : path_len(at), owner_len = strlen(owner);
    const bool whole = len > owner_len && strncmp(at, owner, owner_len) == 0 && strchr(".:", at[owner_len]);
    add(names, whole ? "" : owner, at, len);
}

/* is_returned: a table that is only read. */
static bool is_returned(const char *name)
{
    size_t count;
    const struct shown *const *all = reference_all(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->role == ROLE_RETURNED && strcmp(all[i]->name, name) == 0)
            return true;
    return false;
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
            *owner = is_returned(owner) ? 0 : *owner;
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
        if (at[-1] != '/' && !isupper((unsigned char)at[strlen("relay.")])) /* a file; a class of the stubs */
            add(&said, "", at, path_len(at));
    free(text);
    CHECK_INT(missing(&modules, &said, false, "not in " PAGE), 0);
    for (int i = 0; i < modules.count; i++)
        add(&offered, "", modules.name[i], strlen(modules.name[i]));
    CHECK_INT(missing(&said, &offered, true, "in " PAGE ", but does not exist"), 0);
}

/* printed: to be freed. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    print(out);
    fclose(out);
    return text;
}

static void check_printed(const char *path, void (*print)(FILE *))
{
    char *file = read_file(path), *text = printed(print);
    if (!strstr(file, text))
        test_failed(path, 0, "is not what is printed: make reference");
    free(file);
    free(text);
}

TEST(the_page_has_what_is_printed_of_the_rows)
{
    check_printed(PAGE, page_print);
}

TEST(the_stubs_are_what_is_printed_of_the_rows)
{
    check_printed(STUBS, stubs_print);
}

typedef void member_fn(const struct shown *, const struct member *);

static void each_member(member_fn *each)
{
    size_t count;
    const struct shown *const *all = reference_all(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < all[i]->count; at++)
            each(all[i], &all[i]->members[at]);
}

static bool is_type(struct view word)
{
    static const char *const words[] = {"string", "integer", "number", "boolean", "any",  "nil",
                                        "true",   "false",   "table",  "fun",     "code", "..."};
    size_t count;
    const struct shown *const *all = reference_all(&count);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (view_equal(word, view_text(words[i])))
            return true;
    for (size_t i = 0; i < count; i++)
        if (view_equal(word, view_text(all[i]->name)))
            return true;
    for (size_t i = 0; i < decisions_shown.count; i++)
        if (view_equal(word, view_text(decisions_shown.members[i].name)))
            return true;
    return false;
}

static void check_member(const struct shown *shown, const struct member *member)
{
    struct signature signature;
    struct view rest = view_text(member->type), before, word;
    const bool is_function = signature_init(&signature, member->type);
    if (reference_find(shown, member->name) != member)
        test_failed(shown->name, 0, "%s: twice", member->name);
    if (!*member->about)
        test_failed(shown->name, 0, "%s: nothing is said about it", member->name);
    if ((shown->role == ROLE_LIBRARY || shown->role == ROLE_OBJECT) != (member->function != NULL) && shown->role != ROLE_RETURNED)
        test_failed(shown->name, 0, "%s: a function, or none", member->name);
    if (member->function && !is_function)
        test_failed(shown->name, 0, "%s: %s is no function's type", member->name, member->type);
    while (signature_word(&rest, &before, &word))
        if (!is_type(word))
            test_failed(shown->name, 0, "%s: unknown type in %s", member->name, member->type);
}

TEST(every_row_has_a_type_that_is_known_and_a_line_about_it)
{
    each_member(check_member);
}

static lua_State *lua;
static size_t defined, named;

/* check_defined: the stubs have that function of the library. */
static void check_defined(const struct shown *shown, const struct member *member)
{
    if (shown->role != ROLE_LIBRARY)
        return;
    char chunk[128];
    snprintf(chunk, sizeof chunk, "return type(%s.%s) == 'function'", shown->name, member->name);
    if (luaL_dostring(lua, chunk) || !lua_toboolean(lua, -1))
        test_failed(STUBS, 0, "%s.%s is not defined", shown->name, member->name);
    lua_settop(lua, 0);
    named++;
}

TEST(the_stubs_are_lua_and_define_the_functions_of_the_library_and_no_others)
{
    static const char count[] = "local n = 0 for _, v in pairs(relay) do if type(v) == 'function' then n = n + 1 else for _ in pairs(v) do "
                                "n = n + 1 end end end return n";
    lua = luaL_newstate();
    luaL_openlibs(lua);
    if (luaL_dofile(lua, STUBS) || luaL_dostring(lua, count))
        test_failed(STUBS, 0, "%s", lua_tostring(lua, -1));
    defined = (size_t)lua_tointeger(lua, -1);
    named = 0;
    each_member(check_defined);
    CHECK_INT(named, defined);
    lua_close(lua);
}

static int fetch_nothing(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **transfer)
{
    (void)ctx, (void)policy, (void)handle, (void)request, (void)transfer;
    return ERR_BUSY;
}

/* check_refused: why the hook failed that calls a function with these arguments. */
static void check_refused(enum hook hook, const struct shown *shown, const struct member *member, const char *arguments, const char *why)
{
    struct stage stage;
    char text[256];
    snprintf(text, sizeof text, "return {%s = function() %s.%s(%s) end}", hook_rules[hook].name, shown->name, member->name, arguments);
    stage_set(&stage);
    stage.world.fetch = fetch_nothing;
    stage_add(&stage, "p.lua", text);
    if (!stage_load(&stage) || stage_ask(&stage, hook) != VERDICT_FAIL || !strstr(stage.verdict.reason, why))
        test_failed(text, 0, "%s%s", stage.error, stage.verdict.reason);
    stage_clear(&stage);
}

static void check_load(const struct shown *shown, const struct member *member)
{
    if (member->marks & MARK_LOADS)
        check_refused(HOOK_authorize, shown, member, "", "only while the policy loads");
}

TEST(what_is_for_the_load_is_refused_in_hooks)
{
    each_member(check_load);
}

static void check_wait(const struct shown *shown, const struct member *member)
{
    const char *arguments = strcmp(member->name, "sleep") == 0 ? "1" : strcmp(member->name, "all") == 0 ? "{print}" : member->marks & MARK_METHOD ? "nil, 'x', 'x'" : "'http://a.test/'";
    if (member->marks & MARK_WAITS)
        check_refused(HOOK_permission, shown, member, arguments, "only in authenticate");
}

TEST(what_waits_is_refused_where_nothing_may_wait)
{
    each_member(check_wait);
}

TEST_LIST(RUN(the_page_names_what_the_code_has_and_nothing_else) RUN(every_relay_name_of_the_page_exists_and_every_module_is_on_it)
              RUN(the_page_has_what_is_printed_of_the_rows) RUN(the_stubs_are_what_is_printed_of_the_rows)
                  RUN(every_row_has_a_type_that_is_known_and_a_line_about_it)
                      RUN(the_stubs_are_lua_and_define_the_functions_of_the_library_and_no_others)
                          RUN(what_is_for_the_load_is_refused_in_hooks) RUN(what_waits_is_refused_where_nothing_may_wait))
