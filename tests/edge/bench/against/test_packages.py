from __future__ import annotations

import pytest

from edge.bench.against.packages import needs
from edge.errors import BackendError


def test_missing_package_is_named_with_the_command_that_installs_it() -> None:
    said = r"no module no_such_library\). pip install the-library"
    with pytest.raises(BackendError, match=said), needs("the-library"):
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401


@pytest.mark.parametrize("kind", [ImportError, OSError])
def test_package_whose_libraries_are_missing_says_which(kind: type[Exception]) -> None:
    said = r"the-library does not load here: libx\.so: no such file"
    with pytest.raises(BackendError, match=said), needs("the-library"):
        raise kind("libx.so:\n no such file")
