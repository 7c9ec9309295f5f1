"""Identifiers: format, order, uniqueness, and clocks that misbehave."""

from __future__ import annotations

from dwserver.runtime.ids import ALPHABET, SequentialIds, UlidSource


class FrozenTime:
    def __init__(self, milliseconds: int) -> None:
        self.nanoseconds = milliseconds * 1_000_000

    def __call__(self) -> int:
        return self.nanoseconds


def all_ones(count: int) -> bytes:
    return b"\xff" * count


def milliseconds_of(ulid: str) -> int:
    value = 0
    for character in ulid[:10]:
        value = value * 32 + ALPHABET.index(character)
    return value


def test_ulid_has_26_lower_case_crockford_characters() -> None:
    source = UlidSource()
    ids = [source.next() for _ in range(1000)]
    assert {len(ulid) for ulid in ids} == {26}
    assert set("".join(ids)) <= set(ALPHABET)
    assert not set("ilou") & set("".join(ids))


def test_ulid_begins_with_its_milliseconds() -> None:
    source = UlidSource(FrozenTime(1_469_918_176_385))
    assert source.next()[:10] == "01aryz6s41"
    assert milliseconds_of(source.next()) == 1_469_918_176_385


def test_ulids_increase_within_and_across_milliseconds() -> None:
    clock = FrozenTime(1000)
    source = UlidSource(clock)
    ids = []
    for _ in range(50):
        ids.extend(source.next() for _ in range(100))
        clock.nanoseconds += 999_999
    assert ids == sorted(set(ids))


def test_ulids_increase_although_the_clock_is_set_back() -> None:
    clock = FrozenTime(5000)
    source = UlidSource(clock)
    first = source.next()
    clock.nanoseconds -= 3_000_000_000
    second = source.next()
    assert first < second
    assert milliseconds_of(second) == 5000


def test_ulids_carry_when_one_millisecond_runs_out_of_counters() -> None:
    source = UlidSource(FrozenTime(1000), all_ones)
    previous = source.next()
    head = previous[:22]
    for _ in range(1 << 19):
        current = source.next()
        assert current > previous
        previous = current
    assert previous[:22] > head


def test_two_sources_of_one_millisecond_do_not_collide() -> None:
    clock = FrozenTime(1000)
    first, second = UlidSource(clock), UlidSource(clock)
    ids = [source.next() for _ in range(500) for source in (first, second)]
    assert len(set(ids)) == 1000


def test_sequential_ids_count_in_the_length_of_a_ulid() -> None:
    ids = SequentialIds(9)
    assert (ids.next(), ids.next()) == ("0" * 25 + "9", "0" * 24 + "10")
