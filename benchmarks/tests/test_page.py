from __future__ import annotations

import pytest

from benchmarks.page import MissingMarker, renew

PAGE = """Before.

<!-- begin: one -->
old
<!-- end -->

Between.

<!-- begin: two -->
<!-- end -->
"""


def test_it_renews_one_part_and_nothing_else() -> None:
    renewed = renew(PAGE, "one", "new\n")
    assert renewed == PAGE.replace("\nold\n", "\n\nnew\n\n")


def test_it_fills_an_empty_part() -> None:
    assert renew(PAGE, "two", "new").endswith("<!-- begin: two -->\n\nnew\n\n<!-- end -->\n")


def test_renewing_twice_is_renewing_once() -> None:
    once = renew(PAGE, "one", "new")
    assert renew(once, "one", "new") == once


@pytest.mark.parametrize("page", ["", "<!-- begin: one -->"])
def test_it_says_which_marker_is_missing(page: str) -> None:
    with pytest.raises(MissingMarker, match="begin: one"):
        renew(page, "one", "new")
