"""Write the README's output blocks and pictures from real runs: `FNNET_DATA=... python -m bench.readme`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.common import ROOT

DIGIT = "docs/two.png"
DATA = os.environ.get("FNNET_DATA", "mnist")


def run(folder: Path, *arguments: str) -> str:
    """Return what `python cli.py ...` prints on stdout in `folder`."""
    command = [sys.executable, "cli.py", *arguments]
    env = {**os.environ, "FNNET_DATA": "mnist", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def draw_digit() -> None:
    """Draw a digit in MNIST's form: 28x28, light on black, within the middle 20x20."""
    from PIL import Image, ImageDraw

    large = Image.new("L", (280, 280))
    points = [(90, 100), (105, 65), (145, 50), (180, 75), (180, 115), (90, 220), (195, 220)]
    ImageDraw.Draw(large).line(points, fill=255, width=24, joint="curve")
    large.resize((28, 28), Image.Resampling.BOX).save(ROOT / DIGIT)


def replace_after(text: str, command: str, output: str) -> str:
    """Return the README with the output that follows `$ command` replaced."""
    pattern = re.compile(rf"(\$ [^\n]*{re.escape(command)}\n).*?(?=```)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, command
    return pattern.sub(lambda match: match[1] + output, text)


def main() -> None:
    """Run the commands, and rewrite README.md and docs/."""
    draw_digit()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for link, target in (("cli.py", ROOT / "cli.py"), ("docs", ROOT / "docs"), ("mnist", Path(DATA).resolve())):
            (folder / link).symlink_to(target)
        trained = run(folder, "train", "--jit", "--plot", "curves.svg")
        (ROOT / "docs" / "curves.svg").write_bytes((folder / "curves.svg").read_bytes())
        predicted = run(folder, "predict", "model.safetensors", DIGIT)
        evaluated = run(folder, "evaluate", "model.safetensors")
    lines = trained.splitlines(keepends=True)
    readme = ROOT / "README.md"
    text = readme.read_text()
    text = replace_after(text, "python cli.py train --jit", "".join([lines[0], "...\n", *lines[-4:-2]]))
    text = replace_after(text, "python cli.py train --jit --plot curves.svg", "".join(lines))
    text = replace_after(text, f"python cli.py predict model.safetensors {DIGIT}", predicted)
    text = replace_after(text, "python cli.py evaluate model.safetensors", evaluated)
    readme.write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


if __name__ == "__main__":
    main()
