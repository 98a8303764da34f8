"""The wording of docstrings, comments, messages and documents: words with a plainer equivalent are not used."""

import ast
import io
import re
import tokenize

import pytest

from tests.conftest import ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
TEXTS = sorted(
    [*(ROOT / name for name in DOCUMENTS), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.py")]
    + [*(ROOT / "fnnet").rglob("*.py")]
)

BETTER = "longer|more|less|better|worse|fewer|larger|smaller|higher|lower|slower|faster|one"
PREDICTING = "units?|networks?|models?|weights|average"
WORDS = {
    r"\bso (?:many|strongly)\b": "the number, or its name: n rows, at most LIMIT rows",
    rf"(?<!\bthere )\b(?:is|are|was|were|be) (?-i:no|none)\b(?! (?:{BETTER})\b)": "is not, is missing",
    r"\btold\b(?! apart)|\btells? (?:of|none)\b": "reported, given, says",
    r"\bsaid\b": "given, named, stated",
    r"\banew\b": "again, newly",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\breckon(?:s|ed|ing)?\b": "compute, estimate",
    r"\bof them those\b|\bas it is one\b": "those that",
    r"\bbut for\b": "except",
    r"\bto the bit\b": "bit for bit",
    r"\bproven\b|\bproves? (?:itself|themselves|it)\b|\bchecksums? proves?\b": "verified, verify",
    r"\bto answer with\b|\bready to answer\b|\bwhen answering\b": "predict",
    rf"\b(?:{PREDICTING}),? (?:that |which )?(?:then |never )?answers?\b": "predict, output",
    r"\b(?:right|correct) answers\b": "correct predictions",
}
"""Pattern -> what to write instead."""
METAPHORS = {r"\b(?:rooms?|doors?|houses?|walls?|faces?)\b(?! (?:clock|time)\b)": "folder, module, function"}
"""Not used outside docs/house.md."""
FOUND = ("nothing", "others", "something else")
"""Not values that an error found: the value itself says more."""

NOT_YET: frozenset[str] = frozenset()
"""Files still to be cleaned."""


def strings(tree):
    """(line, text) of each string literal, the constant parts of an f-string as one text."""
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            inside.update(id(part) for part in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def comments(text):
    """(line, text) of each block of comments."""
    line, block = 0, []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != line + len(block):
                yield line, " ".join(block)
                block = []
            line = line if block else token.start[0]
            block.append(token.string.lstrip("# "))
    if block:
        yield line, " ".join(block)


def paragraphs(text):
    """(line, text) of each paragraph or table row, without what programs printed and without the targets of links."""
    printed = r"^```(?:console|text)\n.*?^```$|<!-- (bench\.\w+) -->.*?<!-- /\1 -->"
    text = re.sub(printed, lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)\n]*\)|[\w/.-]*\bhouse\.md", "]", text)
    for match in re.finditer(r"(?:^\|.*$)|(?:^.+$\n?(?:^[^|\n].*$\n?)*)", text, re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def hits(path):
    """What is wrong with the words of a file, one line each."""
    text = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(text)
        pieces = [*strings(tree), *comments(text)]
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "found" and getattr(node.value, "value", None) in FOUND:
                yield f"line {node.value.lineno}: found={node.value.value!r}; better: the value itself"
    else:
        pieces = [*paragraphs(text)]
    patterns = WORDS if path.name == "house.md" else WORDS | METAPHORS
    for line, piece in sorted(pieces):
        plain = " ".join(piece.split())
        for pattern, better in patterns.items():
            for match in re.finditer(pattern, plain, re.IGNORECASE):
                around = plain[max(0, match.start() - 30) : match.end() + 30]
                yield f"line {line}: {match[0]!r} in {around!r}; better: {better}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path):
    found = list(hits(path))
    if str(path.relative_to(ROOT)) in NOT_YET:
        assert found, "clean now: take it off NOT_YET"
    else:
        assert not found, "\n".join(found)


def test_not_yet_names_files_that_exist():
    assert {str(path.relative_to(ROOT)) for path in TEXTS} >= NOT_YET


@pytest.mark.parametrize(
    "text",
    [
        "so many rows", "what is no image", "they are none", "is told of it", "unless said", "drawn anew", "it mends",
        "reckoned before", "of them those that", "a file that proves itself", "the network answers", "the door",
        "right answers", "all but for one", "resumed to the bit",
    ],
)  # fmt: skip
def test_odd_words_are_found(text, tmp_path):
    file = tmp_path / "text.py"
    for content in (f'"""A module.\n\n{text}.\n"""\n', f"x = 1  # {text}\n", f'print(f"{text} {{x}}")\n'):
        file.write_text(content)
        assert len(list(hits(file))) == 1, content
    document = tmp_path / "text.md"
    document.write_text(f"# Title\n\n{text}\n\n```console\n$ {text}\n```\n")
    assert len(list(hits(document))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "there is no file", "there are none", "it is no longer kept", "cannot be told apart", "a mirror that answers",
        "wall clock", "a second fsync proves nothing", "no file is given", "read docs/house.md", "found is None",
    ],
)  # fmt: skip
def test_correct_english_passes(text, tmp_path):
    document = tmp_path / "text.md"
    document.write_text(text + "\n")
    assert not list(hits(document))


def test_a_found_value_that_says_nothing_is_found(tmp_path):
    file = tmp_path / "text.py"
    file.write_text('raise DataError("no arrays", found="nothing")\n')
    assert len(list(hits(file))) == 1
