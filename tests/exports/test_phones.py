"""Numbers in E.164: as the numbering plans say, and never by a guess."""

import phonenumbers
import pytest

from clv.exports.phones import e164


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("(800)555-0100", "US", "+18005550100"),  # Google, Format user data
        ("(650)555-1212", "US", "+16505551212"),  # Meta, Customer Information Parameters
        ("+44 844 412 4653", None, "+448444124653"),  # Meta, How to format a customer list
        ("1-234-567-8910", "US", "+12345678910"),  # same
        ("020 7183 8750", "GB", "+442071838750"),  # TikTok, +442071838750
        ("+44 (0)20 7183 8750", None, "+442071838750"),
        ("0044 20 7183 8750", "DE", "+442071838750"),
        ("0171/123 45 67", "DE", "+491711234567"),
        ("49 171 1234567", "DE", "+491711234567"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("06 612345678", "IT", "+3906612345678"),  # Italy keeps its 0
        ("347 123 4567", "IT", "+393471234567"),
        ("06 20 123 4567", "HU", "+36201234567"),
        ("20 12 34 56", "DK", "+4520123456"),
        ("4520123456", "DK", "+4520123456"),
        ("\u202a+49\u00a0171\u20111234567", None, "+491711234567"),
    ],
)
def test_numbers_as_people_write_them(number, country, expected):
    assert e164(number, country) == expected


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("0171 1234567", None),  # of which country?
        ("0171 1234567", "XX"),
        ("171 1234567", "DE"),  # neither 0 nor 49 before it
        ("555-1212", "US"),  # no area code
        ("+0171 1234567", "DE"),  # no calling code starts with 0
        ("+49171", None),  # too short
        ("+1234567890123456", None),  # too long
        ("0171 1234567 ext. 5", "DE"),
        ("n/a", "DE"),
        ("", "DE"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(number, country):
    assert e164(number, country) is None


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_reads_its_own_example_however_it_is_written(country):
    example = phonenumbers.example_number(country)
    if example is None:
        pytest.skip("the library has no example of this country")
    forms = phonenumbers.PhoneNumberFormat
    number = phonenumbers.format_number(example, forms.E164)
    for form in (forms.E164, forms.INTERNATIONAL):
        assert e164(phonenumbers.format_number(example, form)) == number
    national = phonenumbers.format_number(example, forms.NATIONAL)
    assert e164(national, country) == number


@pytest.mark.parametrize("number", ["+49 1", "+1 555 0100", "+44 20 7183", "+999 123 456 789"])
def test_what_no_numbering_plan_has_is_no_number(number):
    assert e164(number) is None
