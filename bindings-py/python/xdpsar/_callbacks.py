"""The thread that calls what `Segmenter.submit` was given as `callback`."""

import threading

from . import _native


def start(callbacks: _native.Callbacks) -> None:
    """A daemon: it waits for as long as the segmenter is open."""
    thread = threading.Thread(
        target=_serve, args=(callbacks,), name="xdpsar-callbacks", daemon=True
    )
    thread.start()


def _serve(callbacks: _native.Callbacks) -> None:
    while (calls := callbacks.take()) is not None:
        while calls:
            callback, ticket = calls.pop(0)
            try:
                callback(ticket)
            except BaseException as error:
                _native._unraisable(error, callback)
            finally:
                # Nothing of theirs is kept while waiting for the next.
                del callback, ticket
                callbacks.called()
