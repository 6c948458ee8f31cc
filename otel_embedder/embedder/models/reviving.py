"""A model's life: loaded when it is needed, and again when it does no good any more.

While there is none the same error answers at once, so that spans need not wait:
after a load that failed and after a model that hangs, for longer each time, and
while a load takes long.
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_embedder.errors import ModelUnavailableError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.embedder.embedding import Embedding, Model

MODEL_LOADED = "model.loaded"
MODEL_UNAVAILABLE = "model.unavailable"
MODEL_REPLACED = "model.replaced"

# So many batches in a row are not the fault of their texts.
MAX_FAILURES = 3
# So many models may hang at the same time: a hundred megabytes each.
MAX_LOST = 3
# What is a second once is half a year after so many doublings.
MAX_DOUBLINGS = 24

log = get_logger()


@dataclass(slots=True, eq=False)
class _Loaded:
    """A model that was loaded.

    Attributes:
        model: itself.
        threads: those that are in a call of it, by their idents.
        failures: how many batches in a row it has failed on.

    """

    model: Model
    threads: set[int] = field(default_factory=set)
    failures: int = 0


class RevivingModel:
    """Loads a model on first use, in a thread of its own. Safe to use from several threads.

    A model that hangs is left behind, and another is loaded after a while. One
    that fails on batch after batch is replaced at once, but only after twice as
    many failures each time.
    """

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        load: Callable[[], Model],
        *,
        dimension: int,
        retry_after: float,
        max_retry_after: float = math.inf,
        patience: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to load.

        Args:
            load: loads the model, or raises ModelUnavailableError.
            dimension: what it is taken for until the model is there.
            retry_after: seconds before a load is tried again after one failure; twice as long
                after each more.
            max_retry_after: the most that it grows to.
            patience: seconds from the beginning of a load that a batch waits for its end.
            clock: gives the time in seconds, from whenever on.

        """
        self._clock = clock
        self._load = load
        self._dimension = dimension
        self._retry_after = retry_after
        self._max_retry_after = max_retry_after
        self._patience = patience
        self._lock = threading.Lock()
        self._attempt: Future[_Loaded] | None = None
        self._began = 0.0
        self._next_attempt = 0.0
        self._setbacks = 0
        self._max_failures = MAX_FAILURES
        self._lost: list[_Loaded] = []

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed the texts, loading the model first if need be; see `Model`."""
        loaded = self._loaded()
        loaded.threads.add(threading.get_ident())
        try:
            embeddings = loaded.model.encode(texts)
        except BaseException as error:
            self._encode_failed(loaded, error)
            raise
        else:
            self._encode_succeeded(loaded)
            return embeddings
        finally:
            loaded.threads.discard(threading.get_ident())

    @property
    def dimension(self) -> int:
        """How many numbers a vector has, as far as that is known."""
        return self._dimension

    def loaded(self) -> Model:
        """Give the model, waiting until it is loaded.

        Raises:
            ModelUnavailableError: it can't be loaded, could not a moment ago, was given up, or
                takes long.

        """
        return self._loaded().model

    def preload(self) -> None:
        """Begin to load, unless that has been done."""
        self._begun()

    def close(self) -> None:
        """Give up a load under way, such as a download, and try no more: nobody waits for it."""
        with self._lock:
            self._next_attempt = math.inf
            if self._attempt and not self._attempt.done():
                self._attempt.set_exception(ModelUnavailableError("the model was given up"))

    def lose(self, thread: int) -> None:
        """Take the model for lost if a thread hangs in it; load it anew in a while.

        Args:
            thread: the ident of the thread, which may wait for a load, or hang in a model that is
                lost already.

        """
        with self._lock:
            loaded = self._current()
            if loaded is not None and thread in loaded.threads:
                self._lost.append(loaded)
                self._set_back("the model hangs")

    def _loaded(self) -> _Loaded:
        attempt = self._begun()
        try:
            return attempt.result(self._remaining_patience())
        except ModelUnavailableError as error:
            # A new one for each caller: a shared one would collect all their tracebacks.
            raise ModelUnavailableError(str(error)) from None
        except TimeoutError:
            raise ModelUnavailableError("the model is not loaded yet") from None

    def _remaining_patience(self) -> float | None:
        if self._patience == math.inf:
            return None
        return max(0.0, self._began + self._patience - self._clock())

    def _begun(self) -> Future[_Loaded]:
        """Give the attempt to load that counts, begun if it is time for one."""
        with self._lock:
            if self._attempt is None or (self._has_failed() and self._may_try()):
                attempt: Future[_Loaded] = Future()
                threading.Thread(target=self._run, args=(attempt,), daemon=True).start()
                self._attempt, self._began = attempt, self._clock()
            return self._attempt

    def _has_failed(self) -> bool:
        attempt = self._attempt
        return attempt is not None and attempt.done() and attempt.exception() is not None

    def _may_try(self) -> bool:
        # Each model that hangs keeps its memory until it comes to, if ever.
        self._lost = [loaded for loaded in self._lost if loaded.threads]
        return self._clock() >= self._next_attempt and len(self._lost) < MAX_LOST

    def _current(self) -> _Loaded | None:
        attempt = self._attempt
        if attempt is None or not attempt.done() or attempt.exception():
            return None
        return attempt.result()

    def _run(self, attempt: Future[_Loaded]) -> None:
        started = self._clock()
        try:
            model = self._load()
            self._dimension = model.dimension
        except BaseException as error:  # noqa: BLE001 - even a panic in Rust: it is tried again
            self._load_failed(attempt, str(error) or type(error).__name__)
        else:
            self._load_succeeded(attempt, model, self._clock() - started)

    def _load_failed(self, attempt: Future[_Loaded], message: str) -> None:
        with self._lock:
            if not attempt.done():  # else it was given up
                self._set_back(message, attempt)

    def _load_succeeded(self, attempt: Future[_Loaded], model: Model, seconds: float) -> None:
        with self._lock:
            if not attempt.done():  # else it was given up
                attempt.set_result(_Loaded(model))
                log.info(MODEL_LOADED, seconds=round(seconds, 3))

    def _set_back(self, message: str, attempt: Future[_Loaded] | None = None) -> None:
        """Let there be no model for a while, longer after each setback."""
        self._attempt = attempt or Future()
        seconds = min(self._retry_after * 2**self._setbacks, self._max_retry_after)
        self._setbacks = min(self._setbacks + 1, MAX_DOUBLINGS)
        self._next_attempt = max(self._next_attempt, self._clock() + seconds)
        self._attempt.set_exception(ModelUnavailableError(message))
        log.warning(MODEL_UNAVAILABLE, error=message, retry_after=seconds)

    def _encode_succeeded(self, loaded: _Loaded) -> None:
        with self._lock:
            loaded.failures = 0
            if loaded is self._current():
                self._setbacks, self._max_failures = 0, MAX_FAILURES

    def _encode_failed(self, loaded: _Loaded, error: BaseException) -> None:
        with self._lock:
            loaded.failures += 1
            if loaded.failures >= self._max_failures and loaded is self._current():
                # The texts may be to blame: to load it for each of them would be no help.
                self._max_failures *= 2
                self._attempt = None
                log.warning(MODEL_REPLACED, failures=loaded.failures, error=type(error).__name__)
