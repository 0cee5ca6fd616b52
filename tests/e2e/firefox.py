"""Alice and Bob in Firefox, whose ICE, TURN and DTLS are not Chromium's: with each other, and with Chromium."""
from support.chromium import Chromium
from support.firefox import Firefox
from support.pages import alice_and_bob, reflexive_addresses, stage
from support.tap import check_equal, main, test
from support.web import Network

PATIENT = True


@test
def alice_and_bob_over_udp():
    alice_and_bob("udp", Firefox)


@test
def alice_and_bob_over_tcp():
    alice_and_bob("tcp", Firefox)


@test
def alice_and_bob_over_tls():
    alice_and_bob("tls", Firefox)


@test
def alice_in_firefox_and_bob_in_chromium():
    alice_and_bob("udp", Firefox, Chromium)


@test
def a_page_that_only_asks_a_stun_server_learns_its_public_address():
    with stage(Firefox, need_network=True) as (server, browser):
        check_equal(reflexive_addresses(browser, server), [Network.OUTSIDE], "the reflexive addresses")


if __name__ == "__main__":
    main(limit_s=90)
