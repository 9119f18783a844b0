"""Cleaning and hashing against what the advertisers publish, and against hashlib."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.exports import identifiers
from clv.exports.identifiers import cleaned, hashed


def sha256_of(rule, value: str) -> str | None:
    return cleaned(hashed, cleaned(rule, [value]))[0]


@pytest.mark.parametrize(
    ("rule", "given_", "published"),
    [
        # Meta, Customer Information Parameters
        (
            identifiers.email,
            "John_Smith@gmail.com",
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        ),
        (
            identifiers.digits,
            "+16505551212",
            "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        ),
        (
            identifiers.plain_name,
            "Mary",
            "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec",
        ),
        (
            identifiers.plain_name,
            "정",
            "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14",
        ),
        (
            identifiers.plain_name,
            "Valéry",
            "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
        ),
        (
            lambda column: f"lower({identifiers.country(column)})",
            "US",
            "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621",
        ),
        # TikTok, How to create a Custom Audience with a customer file
        (
            identifiers.email,
            "janedoe@gmail.com",
            "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
        ),
        (
            identifiers.digits,
            "+37493828222",
            "65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4",
        ),
        # NIST FIPS 180-4, example of one block
        (
            identifiers.name,
            "ABC",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
    ],
)
def test_published_hashes(rule, given_, published):
    assert sha256_of(rule, given_) == published


@pytest.mark.parametrize(
    ("given_", "mailbox"),
    [  # Google, Data Manager API, Format user data
        ("cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        ("J.Doe@GoogleMail.com", "jdoe@googlemail.com"),
        ("j.doe@notgmail.com", "j.doe@notgmail.com"),
        ("j.doe@gmail.com.example.org", "j.doe@gmail.com.example.org"),
        ("+shopping@gmail.com", None),
    ],
)
def test_mailboxes_at_gmail(given_, mailbox):
    assert cleaned(identifiers.mailbox, cleaned(identifiers.email, [given_])) == [mailbox]


def test_meta_published_postcodes_and_countries():
    def zips(code):
        return lambda column: identifiers.plain_postcode(column, f"'{code}'")

    assert cleaned(zips("US"), ["94035-1234"]) == ["94035"]
    assert cleaned(zips("GB"), ["M1 1AE"]) == ["m11ae"]
    assert cleaned(zips("FR"), [" 75018 "]) == ["75018"]


@pytest.mark.parametrize(
    "no_address",
    ["", " ", "ann", "ann@", "@example.com", "ann@example", "a@b@example.com", "a b.com", "n/a"],
)
def test_what_is_no_address(no_address):
    assert cleaned(identifiers.email, [no_address]) == [None]


@pytest.mark.parametrize("address", ["o'neil@example.co.uk", "a+b@example.museum", "é@exämple.de"])
def test_what_is_one(address):
    assert cleaned(identifiers.email, [address]) == [address]


def test_spaces_of_any_kind_and_accents_of_any_spelling_are_alike():
    spelt = ["\u00a0Valéry \t", "Vale\u0301ry", "VALÉRY\u200b"]
    assert set(cleaned(identifiers.name, spelt)) == {"valéry"}


words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)


@settings(max_examples=30)
@given(words, words, st.sampled_from(["", " ", "\t", "  "]), st.booleans())
def test_case_and_spaces_do_not_change_the_hash(local, host, space, upper):
    address = f"{local}@{host}.com"
    written = space + (address.upper() if upper else address) + space
    assert sha256_of(identifiers.email, written) == hashlib.sha256(address.encode()).hexdigest()


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_a_postcode_is_never_a_formula(text):
    found = cleaned(identifiers.postcode, [text.replace("\x00", "")])[0]
    assert not (found or "").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
