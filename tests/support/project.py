# SPDX-License-Identifier: MIT
"""Where the project's files are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The pages of the documentation in Markdown, without the site that was built from them.
DOCUMENTATION = sorted(
    path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.relative_to(ROOT).parts
)
