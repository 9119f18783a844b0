"""Keys: random, kept as hashes, revoked within a second; the file is the owner's alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat

import pytest

from clv.errors import InputError
from clv.web.access import keys
from clv.web.access.keys import KeyRing, add_key, read_keys, revoke_key
from clv.web.access.roles import Role


def test_the_file_holds_hashes_and_no_key(key_file):
    token = add_key(key_file, "ann", Role.PLANNER)
    text = key_file.read_text()
    assert token not in text
    assert token.removeprefix("clv_") not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["keys.json"]  # nothing beside


def test_keys_have_256_random_bits_and_differ(key_file):
    tokens = [add_key(key_file, f"k{n}", Role.VIEWER) for n in range(20)]
    assert len(set(tokens)) == 20
    assert all(len(token.removeprefix("clv_")) == 43 for token in tokens)  # base64 of 32 bytes
    assert len({one.digest for one in read_keys(key_file)}) == 20


def test_a_ring_finds_the_key_and_nothing_like_it(key_file):
    token = add_key(key_file, "ann", Role.PLANNER)
    ring = KeyRing(key_file)
    found = ring.find(token)
    assert found is not None
    assert (found.name, found.role) == ("ann", Role.PLANNER)
    digest = read_keys(key_file)[0].digest
    for wrong in ("", token[:-1], token + "x", token.upper(), digest, "\udcff", "é"):
        assert ring.find(wrong) is None


def test_every_key_is_compared_in_constant_time(key_file, monkeypatch):
    tokens = [add_key(key_file, f"k{n}", Role.VIEWER) for n in range(5)]
    ring, compared, constant_time = KeyRing(key_file), [], hmac.compare_digest

    def counting(a: str, b: str) -> bool:
        compared.append(a)
        return constant_time(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token in (tokens[0], tokens[-1], "unknown"):
        compared.clear()
        ring.find(token)
        assert len(compared) == 5


def test_a_revoked_key_is_refused_by_a_ring_that_has_known_it(key_file, monkeypatch):
    token, other = add_key(key_file, "ann", Role.ADMIN), add_key(key_file, "bob", Role.VIEWER)
    monkeypatch.setattr(keys, "FRESH", 0.0)
    ring = KeyRing(key_file)
    assert ring.find(token)
    assert revoke_key(key_file, "ann").name == "ann"
    assert ring.find(token) is None
    assert ring.find(other)
    added = add_key(key_file, "cid", Role.VIEWER)
    assert ring.find(added)


@pytest.mark.parametrize("damage", ["gone", "broken", "writable"])
def test_a_file_that_cannot_be_trusted_lets_nobody_in(key_file, monkeypatch, damage):
    token = add_key(key_file, "ann", Role.ADMIN)
    monkeypatch.setattr(keys, "FRESH", 0.0)
    ring = KeyRing(key_file)
    assert ring.find(token)
    if damage == "gone":
        key_file.unlink()
    elif damage == "broken":
        key_file.write_text("{")
    else:
        key_file.chmod(0o666)
    assert ring.find(token) is None
    with pytest.raises(InputError):
        KeyRing(key_file)


def test_names_are_unique_and_plain(key_file):
    add_key(key_file, "ann", Role.ADMIN)
    with pytest.raises(InputError, match="already"):
        add_key(key_file, "ann", Role.VIEWER)
    for name in ("", " ", "a b", "a\nb", "../x", "-x", "x" * 65):
        with pytest.raises(InputError, match="cannot name a key"):
            add_key(key_file, name, Role.VIEWER)
    with pytest.raises(InputError, match="no key 'bob'"):
        revoke_key(key_file, "bob")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"format": 2, "keys": []},
        {"format": 1, "keys": [{"name": "a", "role": "king", "sha256": "0" * 64, "created": ""}]},
        {"format": 1, "keys": [{"name": "a", "role": "admin", "sha256": "", "created": ""}]},
    ],
    ids=str,
)
def test_what_is_no_key_file(key_file, content):
    key_file.write_text(json.dumps(content))
    key_file.chmod(0o600)
    with pytest.raises(InputError):
        read_keys(key_file)


def test_a_ring_without_keys_is_refused(key_file):
    add_key(key_file, "ann", Role.ADMIN)
    revoke_key(key_file, "ann")
    with pytest.raises(InputError, match="has no key"):
        KeyRing(key_file)


def test_no_key_is_lost_and_none_comes_back_in_40_rounds_of_three_at_once(key_file):
    """Each of three processes gives out a key, takes back its last one, and so on."""
    admin = add_key(key_file, "admin", Role.ADMIN)

    def edit(who: int) -> None:
        for turn in range(40):
            add_key(key_file, f"k{who}-{turn}", Role.VIEWER)
            if turn:
                revoke_key(key_file, f"k{who}-{turn - 1}")
            if who == 0 and turn == 5:
                revoke_key(key_file, "admin")

    children = []
    for who in range(3):
        children.append(os.fork())
        if not children[-1]:
            try:
                edit(who)
                os._exit(0)
            except BaseException:
                os._exit(1)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert {key.name for key in read_keys(key_file)} == {"k0-39", "k1-39", "k2-39"}
    assert KeyRing(key_file).find(admin) is None
    assert [path.name for path in key_file.parent.iterdir()] == ["keys.json"]
