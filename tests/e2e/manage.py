"""Tenants, users and secrets by the admin door and the command line of a relay that runs."""
import sqlite3

from support.door import ask_json
from support.server import Server
from support.tap import check, check_equal, main, smoke, test

HOSTED = ("admin-socket=door", "userdb=relay.db")


def tell(server, *statements):
    with sqlite3.connect(server.path("relay.db")) as file:
        for statement in statements:
            file.execute(statement)


def listed(server, path, name, **query):
    """All rows of a list, page by page."""
    rows = []
    while True:
        status, body = ask_json(server, path, **query)
        check_equal(status, 200, f"the status of {path} ({body})")
        rows += body[name]
        if body["next"] is None:
            return rows
        query["after"] = body["next"]


@smoke
def tenants_are_listed_page_by_page():
    with Server(*HOSTED) as server:
        tell(server, *(f"INSERT INTO tenants (name, created_ms, max_bps) VALUES ('t{i:02}', 1700000000000, {i})" for i in range(25)))
        rows = listed(server, "/v1/tenants", "tenants", limit=10)
        check_equal([row["name"] for row in rows], [f"t{i:02}" for i in range(25)], "the tenants")
        check_equal({name: rows[7][name] for name in ("max_bps", "status", "realm", "created")},
                    {"max_bps": 7, "status": "active", "realm": "", "created": 1700000000}, "one of them")
        for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"tenat": "x"}):
            check_equal(ask_json(server, "/v1/tenants", **query)[0], 400, f"the status of {query}")


@test
def without_a_database_there_is_nothing_to_manage():
    with Server("admin-socket=door") as server:
        status, body = ask_json(server, "/v1/tenants")
        check_equal(status, 503, "the status")
        check("userdb" in body["error"], body)


main()
