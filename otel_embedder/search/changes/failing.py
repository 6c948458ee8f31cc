"""Which group of failures is behind what changed: from an operation to the causes it fails for."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from otel_embedder.search.groups.kept import counting_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_embedder.search.changes.comparing import Compared
    from otel_embedder.search.groups.kept import KeptGroup
    from otel_embedder.search.store import Bucket

    # Its service, and the operation.
    Where = tuple[str, str]


def groups_by_place(kept: Sequence[KeptGroup], compared: Compared) -> Mapping[Where, str]:
    """Give by service and operation the id of the group that its failures in the window are of.

    Of several it is the one of which the window has most beyond what the time before would make
    one expect, and so rather the one that is new than the one that is always there.

    Args:
        kept: all groups of the catalogue.
        compared: two times of it.

    """
    by_id = {each.group.id: each for each in kept}
    before, after = _traces(compared.baseline), _traces(compared.window)
    usual = compared.after.spans / max(1, compared.before.spans)
    more: defaultdict[str, float] = defaultdict(float)
    places: defaultdict[str, set[Where]] = defaultdict(set)
    for each in kept:
        if not after[each.number]:
            continue
        id_ = counting_as(each, by_id).group.id
        more[id_] += after[each.number] - usual * before[each.number]
        service = each.group.key.service
        places[id_].update((service, name) for name in each.seen.operations)
    best: dict[Where, str] = {}
    for id_ in sorted(more, key=lambda id_: (-more[id_], id_)):
        for place in places[id_]:
            best.setdefault(place, id_)
    return best


def _traces(buckets: Iterable[Bucket]) -> Counter[int]:
    """Give how many traces failed, by the numbers of groups."""
    traces: Counter[int] = Counter()
    for bucket in buckets:
        table = bucket.counts.table("groups")
        for number, count in zip(
            table.keys[:, 0].tolist(), table.values[:, 0].tolist(), strict=True
        ):
            traces[number] += count
    return traces
