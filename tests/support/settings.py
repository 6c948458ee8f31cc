"""What is wrong with settings, in the words of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

if TYPE_CHECKING:
    from otel_embedder.fields import RoomSettings


def problem_of(room: type[RoomSettings], **values: object) -> str:
    """Give the one thing that is wrong with these settings of a room, as `field: what`."""
    with pytest.raises(ValidationError) as caught:
        room.model_validate(values)
    [detail] = caught.value.errors()
    return f"{detail['loc'][0]}: {detail['msg'].removeprefix('Value error, ')}"
