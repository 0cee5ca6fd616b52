/* relay.hash, relay.hmac, relay.hex, relay.base64, relay.random. */
#include "stage.h"

static void runs(const char *text)
{
    struct stage stage;
    stage_play(&stage, text);
    stage_clear(&stage);
}

TEST(digests_and_macs_are_those_of_the_standards)
{
    runs("local function h(name, text) return relay.hex(relay.hash(name, text)) end\n"
         "assert(h('md5', 'abc') == '900150983cd24fb0d6963f7d28e17f72')\n" /* RFC 1321 */
         "assert(h('sha1', 'abc') == 'a9993e364706816aba3e25717850c26c9cd0d89d')\n" /* FIPS 180 */
         "assert(h('sha256', 'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')\n"
         "assert(h('md5', '') == 'd41d8cd98f00b204e9800998ecf8427e' and #relay.hash('sha1', 'a\\0b') == 20)\n"
         "assert(relay.hex(relay.hmac('sha1', 'Jefe', 'what do ya want for nothing?')) == 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79')\n"
         "assert(relay.hex(relay.hmac('sha256', 'Jefe', 'what do ya want for nothing?')) == "
         "'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')\n" /* RFC 2202, RFC 4231 */
         "assert(relay.hex('') == '' and relay.hex('\\0\\xff') == '00ff')\n"
         "return {}");
}

TEST(base64_is_of_both_alphabets)
{
    runs("local B = relay.base64\n"
         "assert(B.encode('\\xff\\xef\\xbe\\xfb') == '/+++' .. '+w==' and B.encode('\\xff\\xef\\xbe\\xfb', 'url') == '_--' .. '--w')\n"
         "assert(B.encode('') == '' and B.decode('') == '' and B.decode('Zm9v') == 'foo' and B.decode('Zg', 'url') == 'f')\n"
         "for _, bad in ipairs{'Z', 'Zg', '====', 'Zh==', 'Zm9-', 'Zm 9'} do assert(B.decode(bad) == nil, bad) end\n"
         "for _, bad in ipairs{'Z', 'Zg==', 'Zh', '+A'} do assert(B.decode(bad, 'url') == nil, bad) end\n"
         "assert(not pcall(B.encode, 'x', 'hex') and not pcall(B.decode, 5) and not pcall(B.encode))\n"
         "return {}");
}

TEST(sizes_are_bounded_and_work_is_charged)
{
    struct stage stage;
    stage_play(
        &stage,
        "local big = ('x'):rep(1 << 20) local more = big .. 'x'\n"
        "assert(#relay.hex(big) == 2 << 20 and #relay.hash('sha1', big) == 20)\n"
        "for _, f in ipairs{function() relay.hash('sha1', more) end, function() relay.hmac('sha1', 'k', more) end, function() "
        "relay.hmac('sha1', more, 'x') end,\n"
        " function() relay.hex(more) end, function() relay.base64.encode(more) end, function() relay.base64.decode(more) end,\n"
        " function() relay.hash('sha512', 'x') end, function() relay.hmac('md5', 'k', 'x') end, function() relay.hash('sha1') end,\n"
        " function() relay.random(0) end, function() relay.random(1025) end, function() relay.random('x') end} do assert(not pcall(f)) end\n"
        "assert(#relay.random(1024) == 1024 and relay.random(16) ~= relay.random(16))\n"
        "return {authorize = function() for i = 1, 100 do relay.hash('sha256', big) end end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK(policy_counts(stage.policy)->killed_instructions + policy_counts(stage.policy)->killed_wall == 1);
    stage_clear(&stage);
}

TEST_LIST(RUN(digests_and_macs_are_those_of_the_standards) RUN(base64_is_of_both_alphabets) RUN(sizes_are_bounded_and_work_is_charged))
