/* lint.c: what is wrong with a policy and can be told without asking it; and what is right and must not be told. */
#include "stage.h"

#include "policy/lint.h"

struct told {
    char text[4096];
};

static void on_finding(void *ctx, const struct finding *finding)
{
    struct told *told = ctx;
    const size_t len = strlen(told->text);
    snprintf(told->text + len, sizeof told->text - len, "%s:%d: %s%s\n", strrchr(finding->path, '/') + 1, finding->line,
             finding->is_error ? "" : "warning: ", finding->text);
}

/* lint_text: what is told of p.lua, beside m.lua. */
static struct told lint_text(const char *text, const char *module)
{
    struct stage stage;
    struct told told = {""};
    stage_set(&stage);
    stage_add(&stage, "p.lua", text);
    stage_file(&stage, "m.lua", module);
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    CHECK_INT(lint(&stage.config, stage.policy, on_finding, &told), 0);
    stage_clear(&stage);
    return told;
}

static void check_lint(int line, const char *text, const char *expected)
{
    const struct told told = lint_text(text, "return {}");
    if (strcmp(told.text, expected) != 0)
        test_failed(__FILE__, line, "told:\n%sexpected:\n%s", told.text, expected);
}

TEST(names_that_do_not_exist_are_told_by_line_with_the_nearest)
{
    check_lint(
        __LINE__,
        "return {\n authorize = function(req)\n  prnt(req.usr)\n  return relay.dney(403) or string.fomat('x') or relay.log.inf\n end,\n"
        " log = function(ev) return ev.typ or relay.http.gett, _G, require end }",
        "p.lua:3: unknown global 'prnt'; did you mean 'print'?\n"
        "p.lua:3: request has no field 'usr'; did you mean 'user'?\n"
        "p.lua:4: relay has no field 'dney'; did you mean 'deny'?\n"
        "p.lua:4: string has no field 'fomat'; did you mean 'format'?\n"
        "p.lua:4: relay.log has no field 'inf'; did you mean 'info'?\n"
        "p.lua:6: relay.http has no field 'gett'; did you mean 'get'?\n"
        "p.lua:6: event has no field 'typ'; did you mean 'type'?\n");
}

TEST(what_hooks_are_shown_is_followed_by_any_name_it_is_given)
{
    check_lint(__LINE__,
               "local function on_permission(a, b, c)\n local from = a.src\n return from.prt or b.ipp or b:withn('x') or c.x\nend\n"
               "local M = {}\nfunction M.usage(_, u) return u.bytes_n end\nfunction M.init(ctx) return false and ctx.workr end\n"
               "M.permission = on_permission\nreturn M",
               "p.lua:3: an address has no field 'prt'; did you mean 'port'?\n"
               "p.lua:3: an address has no field 'ipp'; did you mean 'ip'?\n"
               "p.lua:3: an address has no field 'withn'; did you mean 'within'?\n"
               "p.lua:6: usage has no field 'bytes_n'; did you mean 'bytes_in'?\n"
               "p.lua:7: ctx has no field 'workr'; did you mean 'worker'?\n");
}

TEST(hooks_that_share_a_line_are_told_apart_by_their_names)
{
    check_lint(__LINE__, "return {authorize = function(x) return x.usr end, log = function(x) return x.typ end}",
               "p.lua:1: request has no field 'usr'; did you mean 'user'?\np.lua:1: event has no field 'typ'; did you mean 'type'?\n");
}

TEST(a_call_that_waits_is_told_where_a_hook_that_may_not_reaches_it)
{
    check_lint(__LINE__,
               "local http = relay.http\nlocal function deep(x)\n return http.get(x)\nend\nlocal function ask(x) return deep(x) end\n"
               "local function never() relay.sleep(1) end\n"
               "return {\n route = function(req) return ask('x') end,\n authorize = function() never() relay.all{} end,\n"
               " refresh = function()\n  local f = function() relay.sleep(1) end\n  f()\n end }",
               "p.lua:3: warning: relay.http.get waits, and route may not: it raises there\n"
               "p.lua:11: warning: relay.sleep waits, and refresh may not: it raises there\n");
}

TEST(modules_are_looked_at_and_globals_that_are_set_are_known)
{
    const struct told told = lint_text("local m = require 'm'\nmine = m\nfunction ours() return mine, theirs, nobodys end\nreturn {}",
                                       "theirs = 1\nreturn function() return mine, relay.zzz end");
    CHECK_TEXT(told.text, "p.lua:3: unknown global 'nobodys'\nm.lua:2: relay has no field 'zzz'\n");
}

/* Every construct of the grammar, none of them wrong. */
TEST(what_is_right_is_not_told)
{
    check_lint(
        __LINE__,
        "local a <const>, b = 1, {x = 1, ['y'] = 2; 3, f = function(...) return ... end}\n"
        "--[==[ prnt( ]] ]==] local s = [[prnt(]] .. 'it\\'s' .. \"\\\"\" -- prnt(\n"
        "local function rec(n, ...) if n == 0 then return select('#', ...) elseif n > 1 then return rec(n - 1) else return -n end end\n"
        "for i = 1, #b, 2 do local c = i; b[i], b.x = c, c end\n"
        "for k, v in pairs(b) do while v do v = nil break end end\n"
        "repeat local done = rec(1) goto continue ::continue:: until done\n"
        "do local _ENV = {print = print}; print = nil end\n"
        "local t = {n = 0}\nfunction t:add(m) self.n = self.n + m return self end\nfunction t.make() return t end\n"
        "t:add(0x1p-2):add(3e+1).make{}.n = ~5 // 2 ^ 2 .. '' == not nil and 1 << 2 | 3 & 4 ~ 1\n"
        "local g = t.make'x'.add\nlocal late\nfunction late(req) return req.anything end\n"
        "return {authorize = function(req)\n local user, src = req.user, req.src\n local req = {usr = user}\n late(req)\n"
        " return src:within('10.0.0.0/8') and req.usr and (user or ''):sub(1):upper() and math.pi and nil end,\n"
        " usage = function(alloc, used) return alloc.tags.anything and used.closing and nil end }",
        "");
}

TEST_LIST(RUN(names_that_do_not_exist_are_told_by_line_with_the_nearest) RUN(what_hooks_are_shown_is_followed_by_any_name_it_is_given)
              RUN(hooks_that_share_a_line_are_told_apart_by_their_names) RUN(a_call_that_waits_is_told_where_a_hook_that_may_not_reaches_it)
                  RUN(modules_are_looked_at_and_globals_that_are_set_are_known) RUN(what_is_right_is_not_told))
