"""Pages of the site that are made when it is built: the READMEs, and the options of every command."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def on_page_markdown(markdown, page, config, **_):
    """Put a page where a stub asks for it, and lead links that leave docs/ to where their targets stand."""
    path = page.file.src_uri
    up = "../" * path.count("/")
    if path == "index.md":
        markdown = (
            (ROOT / "README.md")
            .read_text(encoding="utf-8")
            .replace("](docs/results)", "](results/world-table.md)")
            .replace("](docs/", "](")
        )
    elif path == "start/rust.md":
        markdown = (ROOT / "crates" / "calibfast-core" / "README.md").read_text(encoding="utf-8")
        markdown = re.sub(r"^# Ok::.*\n", "", markdown, flags=re.MULTILINE)  # rustdoc hides these lines, too
    elif path == "api/commands.md":
        markdown = commands()
    markdown = re.sub(r"\]\((?:\.\./)*README\.md", f"]({up}index.md", markdown)
    markdown = re.sub(r"\]\((?:\.\./)*crates/calibfast-core/README\.md", f"]({up}start/rust.md", markdown)
    return markdown.replace("](CONTRIBUTING.md", f"]({config['repo_url']}/blob/main/CONTRIBUTING.md")


def commands():
    """The options of every command, as Typer tells them."""
    typer = [sys.executable, "-m", "typer", "calibfast.cli.app", "utils", "docs", "--name", "calibfast"]
    return subprocess.run(typer, check=True, capture_output=True, text=True, encoding="utf-8").stdout  # noqa: S603
