"""The documents of `docs/` and the changelog as pages of the site, so that they are those of the version that runs."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from speechsite.config import BASE_DIR

DOCS = BASE_DIR / "docs"
CHANGELOG = "changelog"
# What application developers read comes first, then what operators do.
ORDER = (
    "websocket-api",
    "realtime-api",
    "listen-api",
    "file-transcription",
    "events-api",
    "http-api",
    "webhooks",
    "review-api",
    "recordings",
    "security",
    "recogniser",
)
_NO_WORD = re.compile(r"[^\w\- ]")

# name of a document, path below the repository -> the address there, None: it is not served
AddressOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Heading:
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """html: safe to be put into a page. headings: of the second level, in order."""

    name: str
    title: str
    html: str
    headings: tuple[Heading, ...]


def document_paths() -> dict[str, Path]:
    """Every document by its name, in the order in which they are listed."""
    found = {path.stem: path for path in sorted(DOCS.glob("*.md"))}
    names = [name for name in ORDER if name in found]
    ordered = {name: found[name] for name in [*names, *(name for name in found if name not in names)]}
    return ordered | {CHANGELOG: BASE_DIR / "CHANGELOG.md"}


@functools.cache
def list_titles() -> tuple[tuple[str, str], ...]:
    """(name, title) of each document."""
    lines = ((name, path.read_text(encoding="utf-8").splitlines()[0]) for name, path in document_paths().items())
    return tuple((name, line.removeprefix("# ").replace("`", "")) for name, line in lines)


def render_document(name: str, address_of: AddressOf) -> Document | None:
    """None where there is none of this name.

    address_of: of a path below the repository, such as `docs/settings.md#limits` or `examples/rest.sh`.
    """
    path = document_paths().get(name)
    return None if path is None else render(name, path.read_text(encoding="utf-8"), path.parent, address_of)


def render(name: str, text: str, folder: Path, address_of: AddressOf) -> Document:
    """HTML in the text is shown as text. folder: what links are relative to."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = list(_adjusted(markdown.parse(_without_comments(text)), folder, address_of))
    headings = [
        (token.tag, Heading(str(token.attrs["id"]), _plain(following)))
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open"
    ]
    return Document(
        name=name,
        title=next((heading.text for tag, heading in headings if tag == "h1"), name),
        html=markdown.renderer.render(tokens, markdown.options, {}),
        headings=tuple(heading for tag, heading in headings if tag == "h2"),
    )


def anchor_of(heading: str) -> str:
    """As the repository's host makes it: lower case, no punctuation, dashes for spaces."""
    return _NO_WORD.sub("", heading.lower()).strip().replace(" ", "-")


def _without_comments(text: str) -> str:
    return re.sub(r"^<!--.*?-->\n", "", text, flags=re.MULTILINE | re.DOTALL)


def _adjusted(tokens: list[Token], folder: Path, address_of: AddressOf) -> Iterator[Token]:
    """With anchors, addresses of this site, and tables and programs that scroll by keyboard too."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        match token.type:
            case "heading_open" if following is not None:
                token.attrSet("id", anchor_of(_plain(following)))
            case "inline" if token.children:
                token.children = list(_linked(token.children, folder, address_of))
            case "table_open":
                yield _html('<div class="doc-table" tabindex="0">')
            case "fence" | "code_block":
                token.info = ""
                yield _html('<div class="doc-program" tabindex="0">')
                yield token
                yield _html("</div>")
                continue
        yield token
        if token.type == "table_close":
            yield _html("</div>")


def _linked(children: list[Token], folder: Path, address_of: AddressOf) -> Iterator[Token]:
    """A link to what is not served becomes its text, a picture what it shows."""
    is_open = True
    for token in children:
        if token.type == "link_open":
            address = _address(str(token.attrs.get("href", "")), folder, address_of)
            is_open = address is not None
            token.attrs["href"] = address or ""
        if token.type == "image":
            yield Token("text", "", 0, content=token.content)
        elif is_open or token.type not in ("link_open", "link_close"):
            yield token


def _address(target: str, folder: Path, address_of: AddressOf) -> str | None:
    if re.match(r"[a-z]+:|#", target):
        return target
    path, _hash, anchor = target.partition("#")
    below = (folder / path).resolve()
    if not below.is_relative_to(BASE_DIR):
        return None
    address = address_of(below.relative_to(BASE_DIR).as_posix())
    return f"{address}#{anchor}" if address and anchor else address


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))


def _html(text: str) -> Token:
    """A piece of our own: what is in the documents is never taken for HTML."""
    return Token("html_block", "", 0, content=f"{text}\n")
