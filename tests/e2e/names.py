"""Names, realms and passwords beyond ASCII: OpaqueString (RFC 8265) at every door, and clients that prepare them in any way, or not at all."""
from support import stun
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

MATRIX = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"  # RFC 5769 section 2.4
PASSWORD = "TheM\u00aatr\u2168"                # its password without the SOFT HYPHEN, which OpaqueString refuses
BY_SASLPREP = "TheMatrIX"


def code(server, username, password):
    with server.client(username=username, password=password) as client:
        return client.allocate().code


@smoke
def a_client_gets_in_as_it_prepares_the_password():
    with Server(f"user={MATRIX}:{PASSWORD}", "user=bob:a\u00a0b", realm="ex\u00e1mple.org") as server:
        check_equal(code(server, MATRIX, PASSWORD), 0, "a client of RFC 8489")
        check_equal(code(server, MATRIX, BY_SASLPREP), 0, "a client of RFC 5389")
        check_equal(code(server, MATRIX, "TheMatr\u2168"), 401, "a password that only looks like it")
        check_equal([code(server, "bob", password) for password in ("a b", "a\u00a0b", "a\u2003b")], [0, 0, 401],
                    "a space that is prepared, one that is sent as it was, another")


@test
def a_name_that_the_client_did_not_prepare_is_the_same_user():
    with Server("user=No\u00ebl:secret", "user-quota=1") as server, server.client(username="Noe\u0308l") as pieces, \
            server.client(username="No\u00ebl") as whole:
        check_equal(pieces.allocate().code, 0, "the name in pieces")
        check_equal(whole.allocate().code, 486, "the same user's second allocation")


@test
def users_of_the_database_get_in_by_either_preparation():
    with Server("userdb=relay.db") as server:
        server.relay("user", "add", "--userdb", "relay.db", "--realm", server.realm, MATRIX, "--password-stdin", stdin=PASSWORD + "\n")
        wait_for(lambda: code(server, MATRIX, PASSWORD) == 0, 3, "the prepared password")
        check_equal(code(server, MATRIX, BY_SASLPREP), 0, "a client of RFC 5389")
        check_equal(code(server, MATRIX, "TheMatr"), 401, "another password")


@test
def passwords_of_policies_are_prepared_and_bad_ones_fail_closed():
    text = f"""
    return {{name = "keys", authenticate = function(req)
      if req.username == "zoe" then return relay.key{{user = "zoe", password = "{PASSWORD}"}} end
      if req.username == "kim" then return relay.key{{user = "kim", password = "a\\tb"}} end
    end, route = function(req) return relay.tenant("north", {{realm = "caf" .. "e\u0301"}}) end}}"""
    with Server(files={"keys.lua": text}, policies=["keys.lua"]) as server:
        check_equal([code(server, "zoe", password) for password in (PASSWORD, BY_SASLPREP, "x")], [0, 0, 401], "zoe's passwords")
        check_equal(code(server, "kim", "a\tb"), 500, "a password with a control character")
        check("relay.key: password has U+0009" in server.log(), "the log does not say why")
        with server.client() as client:
            check_equal(client.challenge().text(stun.REALM), "caf\u00e9", "the realm of the challenge")


@test
def what_may_not_be_a_name_ends_the_start_with_file_and_line():
    for line, why in (("user=a\u200bn:x", "user: the name has U+200B"), ("user=bob:The\u00adM", "user: the password has U+00AD")):
        server = Server(line)
        status, _, errors = run_relay("-c", server.config, cwd=server.directory)
        where = f"turnserver.conf:{len(open(server.config, encoding='utf-8').readlines())}: "
        check(status == 1 and where + why in errors, f"{line} was answered {status}: {errors}")


@test
def bytes_that_are_no_text_are_nobodys_name():
    with Server() as server, server.client() as client:
        client.challenge()
        for name in (b"\xff\xfe", b"ann\x00", b"\xc3", b"ann\x07", b"\xed\xa0\x80"):
            message = stun.build(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0"), (stun.USERNAME, name),
                                                 (stun.REALM, client.realm.encode()), (stun.NONCE, client.nonce.encode())])
            answer = client.transact(stun.with_integrity(message, stun.key_of("ann", client.realm, "secret")))
            check_equal(answer.code, 400 if b"\0" in name else 401, f"the answer to {name}")
        check_equal(client.allocate().code, 0, "ann herself")


if __name__ == "__main__":
    main()
