from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.options import DEFAULT_SECRET_KEYS
from otel_embedder.text.service import UNKNOWN_SERVICE, service_name
from tests.support.otlp_samples import resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.otlp_samples import Value


class Looked(Secrets):
    """Counts the characters that were searched for secrets."""

    characters = 0

    def hidden(self, text: str) -> str:
        self.characters += len(text)
        return super().hidden(text)

    def hidden_key(self, key: str) -> str:
        self.characters += len(key)
        return super().hidden_key(key)


def test_other_keys_are_not_searched_for_secrets() -> None:
    secrets = Looked(DEFAULT_SECRET_KEYS, by_look=True)
    attributes: Mapping[str, Value] = {"Bearer eyJ" * 4_096: 1, "host.name": "a"}

    name = service_name(resource("shop", attributes).SerializeToString(), secrets)

    assert name == "shop"
    assert 0 < secrets.characters < 100


@pytest.mark.parametrize("key", ["service.name ", "Service.name", "service.name\0"])
def test_a_key_that_is_another_names_no_service(key: str) -> None:
    encoded = resource(None, {key: "shop"}).SerializeToString()

    assert service_name(encoded, Secrets(DEFAULT_SECRET_KEYS, by_look=True)) == UNKNOWN_SERVICE
