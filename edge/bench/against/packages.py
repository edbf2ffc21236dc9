"""Says in one line why a library that only some machines have cannot be imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import BackendError


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Translate the errors of the imports in the block.

    Args:
        package: the name by which pip installs the library.

    Raises:
        BackendError: it is not installed, or does not load here.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{package} cannot be imported (no module {error.name}). pip install {package}"
        ) from error
    # Packages with native libraries raise either where one of those is missing.
    except (ImportError, OSError) as error:
        text = " ".join(str(error).split())
        raise BackendError(f"{package} does not load here: {text}") from error
