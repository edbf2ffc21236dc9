"""Runs the rules of the page's script under node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

import edge.results.review.page

SCRIPT: Final = Path(edge.results.review.page.__file__).parent / "review.js"


def require_node() -> str:
    """The program node; the test is skipped without it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (Debian: nodejs)")
    return node


def evaluate(expression: str, **values: Any) -> Any:
    """What the expression gives; `page` has the script's rules, `given` the values."""
    code = (
        f"const page = require({json.dumps(str(SCRIPT))});"
        f"const given = {json.dumps(values)};"
        f"console.log(JSON.stringify({expression}));"
    )
    done = subprocess.run(
        [require_node(), "-e", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
