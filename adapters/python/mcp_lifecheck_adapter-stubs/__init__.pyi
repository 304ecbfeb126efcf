"""Types of the helper's public interface."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__version__: str

_Handler = Callable[..., Any]

def serve(
    factory: Callable[[], Any] | None = None,
    *,
    load: _Handler | None = None,
    call: _Handler | None = None,
    list: _Handler | None = None,
    close: _Handler | None = None,
    reload: _Handler | None = None,
    errors: Callable[[], Mapping[str, Any] | None] | None = None,
    adapter: str | None = None,
    version: str | None = None,
    contexts: Iterable[str] | None = None,
    owned: Iterable[str] = (),
    cancellable: bool | None = None,
) -> None: ...
def on_cancel(callback: Callable[[], object]) -> None: ...
