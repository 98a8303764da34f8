"""A page of HTML in one file: its head, its style, what it may load."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from fnnet import __version__
from fnnet.files.disk import read_text

STYLE: Final = Path(__file__).parent / "base.css"
POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a page may load: nothing that is not in it."""
SCRIPTS: Final = "; script-src 'unsafe-inline'"
GENERATOR: Final = '<meta name="generator" content="fnnet '
"""What the first bytes of a page have in them, by which it is known again."""


def base_style() -> str:
    """Return the style that all pages share: colours, light and dark, figures and tables."""
    return read_text(STYLE)


def html_page(title: str, style: str, body: str, script: str = "") -> str:
    """Return a page.

    style, body, script   as they stand in it; without a script the page may run none.

    >>> page = html_page("a < b", "", "<p>text</p>")
    >>> "<title>a &lt; b</title>" in page, "script" in page
    (True, False)
    """
    policy = POLICY + SCRIPTS * bool(script)
    scripts = f"<script>\n{script}</script>\n" if script else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{GENERATOR}{__version__}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
{scripts}</body>
</html>
"""
