"""Sessions: signed, over after their time, bound to the key and to a secret beside its file."""

from __future__ import annotations

import base64
import json

import pytest

from clv.errors import InputError
from clv.io.changes import workspace
from clv.web.access import sessions as module
from clv.web.access.keys import Key
from clv.web.access.roles import Role
from clv.web.access.sessions import Sessions
from clv.web.access.who import Access

KEY = Key("ann", Role.VIEWER, "ab" * 32, "2024-01-01")


def test_a_session_comes_back():
    sessions = Sessions()
    session = sessions.read(sessions.begin(KEY))
    assert session is not None
    assert (session.name, session.digest) == ("ann", KEY.digest)


def test_no_two_sessions_are_alike():
    sessions = Sessions()
    cookies = {sessions.begin(KEY) for _ in range(10)}
    nonces = {session.nonce for cookie in cookies if (session := sessions.read(cookie))}
    assert len(cookies) == len(nonces) == len({sessions.token(one) for one in nonces}) == 10


def test_any_changed_character_is_a_forgery():
    sessions = Sessions()
    cookie = sessions.begin(KEY)
    for place, character in enumerate(cookie):
        changed = "A" if character != "A" else "B"
        assert sessions.read(cookie[:place] + changed + cookie[place + 1 :]) is None


def test_claims_without_our_signature_are_worth_nothing():
    sessions, other = Sessions(), Sessions()
    claim = base64.urlsafe_b64encode(json.dumps(["root", "ab" * 32, 9e9, "n"]).encode()).decode()
    stolen = sessions.begin(KEY).partition(".")[2]
    form_token = sessions.token(claim)  # signed by us, but for another purpose
    forged = (claim, f"{claim}.", f"{claim}.{stolen}", f"{claim}.{form_token}", ".", "", "\udcff.x")
    for cookie in (*forged, other.begin(KEY)):
        assert sessions.read(cookie) is None


def test_a_session_is_over_after_its_time(monkeypatch):
    sessions, now = Sessions(lifetime=60), 1_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    cookie = sessions.begin(KEY)
    assert sessions.read(cookie)
    now += 59
    assert sessions.read(cookie)
    now += 1
    assert sessions.read(cookie) is None


def test_a_session_that_was_ended_stays_so_and_is_forgotten_in_time(monkeypatch):
    sessions, now = Sessions(lifetime=60), 1_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    first, second = sessions.begin(KEY), sessions.begin(KEY)
    session = sessions.read(first)
    assert session is not None
    sessions.end(session)
    assert sessions.read(first) is None
    assert sessions.read(second) is not None
    now += 61
    assert sessions.read(first) is None
    sessions.end(session)
    assert len(sessions._ended) == 1


@pytest.mark.parametrize("token", ["", "x", "é", "0" * 64])
def test_form_tokens_are_of_one_session(token):
    sessions = Sessions()
    assert sessions.holds("a", sessions.token("a"))
    assert not sessions.holds("b", sessions.token("a"))
    assert not sessions.holds("a", token)
    assert not Sessions().holds("a", sessions.token("a"))


def test_the_secret_is_not_printed():
    sessions = Sessions()
    assert sessions.secret.hex() not in repr(sessions)
    assert repr(sessions.secret) not in repr(sessions)


def test_a_restart_keeps_sessions_and_keeps_ended_ones_ended(tmp_path):
    before = Sessions.beside(tmp_path / "keys.json")
    stays, goes = before.begin(KEY), before.begin(KEY)
    session = before.read(goes)
    assert session is not None
    before.end(session)
    after = Sessions.beside(tmp_path / "keys.json")
    assert after.read(stays) == before.read(stays) is not None
    assert after.read(goes) is None
    assert after.holds("nonce", before.token("nonce"))
    assert (tmp_path / "keys.json.sessions").stat().st_mode & 0o777 == 0o600
    assert Sessions.beside(tmp_path / "other.json").read(stays) is None


def test_a_secret_that_others_may_read_or_that_is_none_is_refused(tmp_path):
    file = tmp_path / "keys.json.sessions"
    Sessions.beside(tmp_path / "keys.json")
    file.chmod(0o640)
    with pytest.raises(InputError, match="others may read"):
        Sessions.beside(tmp_path / "keys.json")
    for text in ("", "[]", '{"secret": "zz", "ended": {}}', '{"ended": {}}'):
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(InputError, match="does not hold sessions"):
            Sessions.beside(tmp_path / "keys.json")


def test_where_nothing_can_be_written_sessions_last_as_long_as_the_process(tmp_path, caplog):
    (tmp_path / "file").touch()  # a folder it cannot be, whoever runs this
    sessions = Sessions.beside(tmp_path / "file" / "keys.json")
    assert sessions.file is None
    assert sessions.read(sessions.begin(KEY)) is not None
    assert "sessions end with this process" in caplog.text


def test_a_session_that_one_process_ends_has_ended_for_all(tmp_path):
    one, other = (Sessions.beside(tmp_path / "keys.json") for _ in range(2))
    cookies = [one.begin(KEY) for _ in range(3)]
    first, second, _ = (other.read(cookie) for cookie in cookies)
    assert first is not None
    assert second is not None
    one.end(first)
    other.end(second)
    assert [bool(each.read(cookie)) for each in (one, other) for cookie in cookies] == [
        False, False, True
    ] * 2  # fmt: skip
    assert Sessions.beside(tmp_path / "keys.json").read(cookies[0]) is None


def test_processes_keep_sessions_together_where_nothing_can_be_written_beside_the_keys(tmp_path):
    (tmp_path / "file").touch()
    shared = tmp_path / "shared"
    shared.mkdir()
    one, other = (Access(sessions=Sessions.beside(tmp_path / "file" / "keys")) for _ in range(2))
    for access in (one, other):
        access.share(shared)
    assert other.sessions.read(one.sessions.begin(KEY))


def test_processes_without_a_key_file_share_sessions_in_a_workspace_that_is_locked() -> None:
    with workspace() as shared:
        one, other = Access(), Access()
        for access in (one, other):
            access.share(shared)
        assert one.sessions.file is not None
        assert one.sessions.secret == other.sessions.secret
