"""English-looking texts with word frequencies of a language: the n-th word about 1/n as often as the first."""

from __future__ import annotations

import itertools
import random

# The most frequent words of spoken English, most frequent first.
COMMON_WORDS = """
the and I to of a you that in it is was for on we with they have this be are at not but so what as he do can just know
there if like or about from my one all would get out up your when me an well think no had our going yeah more some which
now people then because were really them been will by their right who want see time how she has go good here mean also
other where make two very into kind back over those thing after need even look way could work his first something these
three her only down say than lot new actually little day us year great okay take any last much come much call before
same still help point next let through should most too number question long week today order account team customer
meeting project service system product price report number email phone address problem change plan issue data support
company month part end start name open close check send show give use find try put keep turn ask feel leave tell move
""".split()  # noqa: SIM905 - read as a text
STEMS = """
form port struct spect tract mit duct scribe vert pose fer press tend claim cede pel flect gress volve sist ject rupt
tain sign serv solv strain stat vis voc grad fin cap cid dict fact flu gen jur log man mem min mob mot nov part path
plic pon prim quer rect san sens tact temp terr vac val ven vid vit
""".split()  # noqa: SIM905
PREFIXES = (
    "",
    "re",
    "con",
    "de",
    "in",
    "pro",
    "trans",
    "sub",
    "ex",
    "per",
    "inter",
    "over",
    "under",
    "pre",
    "dis",
    "un",
)
SUFFIXES = (
    "", "s", "ed", "ing", "er", "ers", "ion", "ions", "able", "ive", "ively", "ment", "ments", "ance", "al", "ally",
)  # fmt: skip
# Zipf's law with Mandelbrot's two corrections: how flat the curve begins, and how steeply it falls.
ZIPF_SHIFT = 2.7
ZIPF_EXPONENT = 1.15


def make_vocabulary(rng: random.Random) -> list[str]:
    """About 17,000 different words, the most frequent first."""
    rare = ["".join(parts) for parts in itertools.product(PREFIXES, STEMS, SUFFIXES)]
    rng.shuffle(rare)
    return list(dict.fromkeys([*COMMON_WORDS, *rare]))


class Texts:
    """Texts of 6 to 18 words, each made of two halves; the same ones for the same seed."""

    def __init__(self, rng: random.Random, halves: int = 60_000) -> None:
        words = make_vocabulary(rng)
        weights = list(itertools.accumulate((rank + ZIPF_SHIFT) ** -ZIPF_EXPONENT for rank in range(1, len(words) + 1)))
        self.vocabulary = words
        self._rng = rng
        self._first = [self._half(words, weights).capitalize() for _ in range(halves)]
        self._second = [self._half(words, weights) + "." for _ in range(halves)]

    def make(self) -> str:
        choice, halves = self._rng.random, len(self._first)
        return f"{self._first[int(choice() * halves)]} {self._second[int(choice() * halves)]}"

    def _half(self, words: list[str], weights: list[float]) -> str:
        return " ".join(self._rng.choices(words, cum_weights=weights, k=self._rng.randint(3, 9)))
