"""One more entry in every registry, added before anything is built: a plugin of pytest."""

from clv.store.filter_kinds import ListFilter, RangeFilter
from clv.store.filters import FILTERS

ENTRIES = (
    ListFilter(
        name="countries",
        column="country",
        label="Country",
        description="Any of these countries.",
        example=["DE"],
        phrase="from",
    ),
    RangeFilter(
        name="returns",
        column="return_share",
        label="Share returned",
        description="Share of the revenue sent back, 0 to 1",
        least=0,
        most=1,
        unit="%",
    ),
)


def pytest_load_initial_conftests() -> None:
    """Before any conftest imports what loops over the registries."""
    FILTERS.update({field.name: field for field in ENTRIES})
