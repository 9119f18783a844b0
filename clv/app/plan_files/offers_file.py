"""Several offers as a TOML or JSON file: read strictly, every mistake named.

::

    [[offers]]
    name = "letter"
    contact_cost = 1
    incentive = 5                # optional: for everybody who redeems
    save_rate = 0.25             # or [0.1, 0.4], { a = 6, b = 14 }, or leave out for the default
    save_rate_source = "assumed" # or "measured", when a randomised campaign gave it
    redemption = 0.4             # optional: who redeems; else the stayers and the saved
    capacity = 2000              # optional: most customers
    leavers = "silent"           # or "gone": whom the save rate is a share of

    [[offers]]
    name = "mail"
    contact_cost = 0.1
    test = "result.json"         # measured: what clv measure-test --output wrote

    [[offers]]
    name = "call"
    uplift = "uplift/call.json"  # measured: what clv targets --save-uplift wrote
    capacity = 500

Files are looked for beside it. JSON holds the same: {"offers": [{"name": "letter", ...}]}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from clv.app.plan_files.measured_results import of_test, one_save_rate, save_rate_of
from clv.app.plan_files.offer_terms import NamedOffer
from clv.app.plan_files.sections import Strict
from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_json, parse_toml, read_text

HINT = "the documentation of clv.app.plan_files.offers_file shows a complete file."


class OfferPlan(NamedOffer):
    """One ``[[offers]]`` of the file."""

    name: Annotated[str, Field(min_length=1)]
    uplift: str | None = None
    test: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.uplift is None and self.contact_cost is None:
            raise ValueError("Input should have contact_cost, or uplift, which knows its costs")
        if self.uplift is not None and self.model_fields_set - {"name", "uplift", "capacity"}:
            raise ValueError("Input should have name and capacity alone beside uplift")
        one_save_rate(self)
        return self

    def measured(self, folder: Path) -> Self:
        """The same with the save rate of its test, a file in ``folder``, where it names one."""
        if self.test is None:
            return self
        return self.model_copy(update=of_test(save_rate_of(folder / self.test, self.name)))


class OffersPlan(Strict):
    r"""The whole file; see the top of this module.

    Examples
    --------
    >>> text = '[[offers]]\nname = "letter"\ncontact_cost = 1\ncapacity = 200'
    >>> OffersPlan.parse(text).offers[0].build().capacity
    200
    """

    offers: Annotated[
        tuple[OfferPlan, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [offer.name for offer in self.offers]
        if len(set(names)) < len(names):
            raise ValueError("Input should give each offer a name of its own")
        return self

    @classmethod
    def read(cls, path: str | Path) -> OffersPlan:
        """The offers in a .toml or .json file.

        Raises
        ------
        InputError
            The file is missing or no TOML or JSON, or a field is missing, unknown or out of range.
        """
        file = Path(path)
        text = read_text(file, "give a TOML or JSON file.", "file of offers")
        plan = cls.parse(text, file.name, as_json=file.suffix == ".json")
        offers = tuple(offer.measured(file.parent) for offer in plan.offers)
        return plan.model_copy(update={"offers": offers})

    @classmethod
    def parse(cls, text: str, name: str = "the offers", *, as_json: bool = False) -> OffersPlan:
        """The offers in a text; ``name`` is what errors call it."""
        data = (parse_json if as_json else parse_toml)(text, name, HINT)
        return settings_of(cls, data, name, HINT)
