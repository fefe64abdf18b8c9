"""Reports as one HTML page that needs no other file: the style, the frame around the body, and its common pieces."""

import base64
from collections.abc import Iterable, Mapping
from html import escape

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fbfaf6; color: #24241f; font: 15px/1.55 "Source Sans 3", "Segoe UI", Helvetica, Arial,
  sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 28px 72px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 42px 0 6px; padding-top: 14px; border-top: 1px solid #dddbd0; }
h3 { font-size: 15px; margin: 26px 0 2px; } h3 small { font-weight: 400; padding-left: 8px; }
p { margin: 6px 0 12px; max-width: 76ch; } h1, h3, p { overflow-wrap: anywhere; }
p.lead { font-size: 17px; color: #45453e; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 18px 0 0; font-size: 13.5px; }
dt { color: #77766b; } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; width: 100%; margin: 10px 0; }
th { text-align: right; vertical-align: bottom; font-weight: 600; color: #55544b; padding: 5px 8px;
  border-bottom: 1.5px solid #b9b7a8; }
td { text-align: right; padding: 5px 8px; border-bottom: 1px solid #e9e7dd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr.trained td { font-weight: 600; } tr.reference td:first-child::after { content: " (reference)"; color: #8a897d;
  font-weight: 400; }
small { color: #85847a; font-weight: 400; } .none { color: #b5b4a9; }
img { display: block; width: 100%; max-width: 100%; margin: 10px 0 4px; }
img.narrow { width: 74%; }
td.words { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 140px; }
th.words { text-align: left; } td.hit { background: #e6efd8; }
td.refused { text-align: left; white-space: normal; color: #a03b52; }
code { background: #efede3; padding: 1px 4px; border-radius: 3px; white-space: nowrap; }
.note { border-left: 3px solid #d9a441; padding-left: 12px; }
@media (max-width: 700px) { main { padding: 24px 14px 48px; } img.narrow { width: 100%; } }
"""


def html_page(title: str, body: Iterable[str]) -> str:
    """Returns the page; `body` are pieces of HTML, empty ones are left out."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def lead(text: str) -> str:
    """Returns the sentence that a report opens with."""
    return f'<p class="lead">{escape(text)}</p>'


def facts(entries: Mapping[str, str]) -> str:
    """Returns names with their texts as a list."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in entries.items())}</dl>"


def picture(svg: bytes, description: str, kind: str = "wide") -> str:
    """Returns an SVG as a picture, "wide" or "narrow"."""
    data = base64.b64encode(svg).decode()
    return f'<img class="{kind}" alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'


def html_table(heads: Iterable[str], lines: Iterable[str]) -> str:
    """Returns a table that scrolls on narrow screens.

    Args:
        heads: texts of the columns; one that ends in "title" or "type" is set as words.
        lines: rows as HTML.
    """
    kinds = ((name, ' class="words"' if name.endswith(("title", "type")) else "") for name in heads)
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in kinds)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
