/* command_oauth.c: relay oauth: what it does, what it prints, how it refuses. */
#include "room.h"

#define IKM "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

TEST(an_oauth_key_comes_from_standard_input_and_is_never_shown)
{
    struct room room = room_make();
    struct ran ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", "north", "--key-stdin", "--realm", "example.org");
    check_ran(&ran, 0, "", "");
    ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", "--algorithm=A128GCM", "--lifetime=60", "--key-stdin", "--", "-east");
    check_ran(&ran, 0, "", "");
    ran = RUN_RELAY(room, "", "oauth", "list", "--userdb", "DB");
    check_ran(&ran, 0, "example.org", "");
    CHECK(strstr(ran.out, "-east") && strstr(ran.out, "A128GCM") && !strstr(ran.out, "MDEy"));
    ran = RUN_RELAY(room, "", "oauth", "list", "--userdb", "DB", "--json");
    check_ran(&ran, 0, "{\"kid\": \"north\", \"realm\": \"example.org\", \"algorithm\": \"A256GCM\", \"created\": \"20", "");
    CHECK(strstr(ran.out, "\"expires\": null") && strstr(ran.out, "\"expires\": \"20") && !strstr(ran.out, "MDEy"));
    ran = RUN_RELAY(room, "", "oauth", "remove", "--userdb", "DB", "north");
    check_ran(&ran, 0, "", "");
    ran = RUN_RELAY(room, "", "oauth", "remove", "--userdb", "DB", "north");
    check_ran(&ran, 1, "", "no such key");
    ran = RUN_RELAY(room, "", "oauth", "list", "--userdb", "DB");
    CHECK(!strstr(ran.out, "north"));
    room_remove(&room);
}

TEST(what_is_no_oauth_key_is_refused)
{
    struct room room = room_make();
    char kid[130];
    memset(kid, 'k', 129);
    kid[129] = 0;
    struct ran ran = RUN_RELAY(room, "short\n", "oauth", "add", "--userdb", "DB", "north", "--key-stdin");
    check_ran(&ran, 1, "", "the key is Base64 of 16 bytes for A128GCM, of 32 for A256GCM");
    ran = RUN_RELAY(room, "", "oauth", "add", "--userdb", "DB", "north", "--key-stdin");
    check_ran(&ran, 1, "", "no key in its first line");
    ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", "north", "--key-stdin", "--algorithm", "A192GCM");
    check_ran(&ran, 1, "", "the algorithm is A128GCM or A256GCM");
    ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", "north", "--key-stdin", "--lifetime", "0");
    check_ran(&ran, 2, "", "--lifetime: seconds from now");
    ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", kid, "--key-stdin");
    check_ran(&ran, 2, "", "a kid has 1 to 128 bytes");
    ran = RUN_RELAY(room, IKM "\n", "oauth", "add", "--userdb", "DB", "north");
    check_ran(&ran, 2, "", "--key-stdin is missing");
    room_remove(&room);
}

TEST_LIST(RUN(an_oauth_key_comes_from_standard_input_and_is_never_shown) RUN(what_is_no_oauth_key_is_refused))
