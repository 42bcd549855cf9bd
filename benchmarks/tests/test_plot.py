from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from benchmarks.plot import COLOURS, GREY, HEIGHT, WIDTH, decades, draw, linear, logarithmic, round_steps
from benchmarks.tests.test_report import row

SVG = "{http://www.w3.org/2000/svg}"
LIGHT, DARK = "#ffffff", "#0d1117"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - drawn here


def luminance(colour: str) -> float:
    """Source: relative luminance in WCAG 2.2."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("colour", [*COLOURS, GREY])
def test_every_colour_is_seen_on_light_and_on_dark(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3.0


@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_text_is_read_about_equally_well_on_both(ground: str) -> None:
    # 4.5 on both at once there is not.
    assert contrast(GREY, ground) >= 4.0


def test_it_draws_a_line_for_each_gateway_in_each_panel_and_in_the_legend() -> None:
    rows = [row(gateway, streams) for gateway in ("speechsite", "a & b") for streams in (50, 150)]
    picture = parse(draw(rows))
    assert len(picture.findall(f"{SVG}polyline")) == 6
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert {"speechsite", "a & b", "50", "150", "CPU, ms per stream-second", "Added latency p99, ms"} <= {*texts}


def test_gateways_differ_by_more_than_colour() -> None:
    picture = parse(draw([row(name) for name in "abcdef"]))
    lines = picture.findall(f"{SVG}polyline")[:6]
    assert len({line.get("stroke-dasharray") for line in lines}) == 6


def test_it_has_no_ground_and_says_its_figures_in_words() -> None:
    picture = parse(draw([row()]))
    assert picture.find(f"{SVG}rect") is None
    description = picture.find(f"{SVG}desc")
    assert description is not None
    assert description.text == "speechsite: 100 streams, CPU 2.00 ms, p99 10.4 ms."


def test_everything_lies_inside_the_picture() -> None:
    picture = parse(draw([row(name, streams) for name in "abcdef" for streams in (1, 50, 1000, 5000)]))
    for line in picture.findall(f"{SVG}polyline"):
        for place in (line.get("points") or "").split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_failed_run_has_no_point() -> None:
    picture = parse(draw([row(), {"gateway": "speechsite", "streams": 500, "failure": "timed out"}]))
    assert "500" not in [text.text for text in picture.findall(f"{SVG}text")]


def test_nothing_measured_is_an_empty_picture() -> None:
    assert parse(draw([])).findall(f"{SVG}polyline") == []


@pytest.mark.parametrize(
    ("highest", "steps"),
    [(8.6, [0, 2.5, 5, 7.5, 10]), (4.0, [0, 1, 2, 3, 4]), (0.5, [0, 0.2, 0.4, 0.6]), (130.0, [0, 50, 100, 150])],
)
def test_steps_are_round_and_reach_the_highest(highest: float, steps: list[float]) -> None:
    assert round_steps(highest) == pytest.approx(steps)


@pytest.mark.parametrize("highest", [0.0, 0.003, 1.0, 7.77, 99.0, 12345.0])
def test_there_are_two_to_six_steps(highest: float) -> None:
    steps = round_steps(highest)
    assert 2 <= len(steps) <= 6
    assert steps[-1] >= highest
    assert all(low < high for low, high in pairwise(steps))


@pytest.mark.parametrize(
    ("values", "powers"), [([3.0, 120.0], [1, 10, 100, 1000]), ([10.0], [10, 100]), ([0.0], [1, 10]), ([], [1, 10])]
)
def test_decades_enclose_the_values(values: list[float], powers: list[float]) -> None:
    assert decades(values) == pytest.approx(powers)


def test_scales_place_their_ends() -> None:
    assert linear(0, 10, 300, 100)(5) == 200
    place = logarithmic(1, 100, 300, 100)
    assert [place(1), place(10), place(100)] == pytest.approx([300, 200, 100])
    assert place(0) == 300
