"""Sets and slices of bits say what plain lists say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from piaoma.index import bits
from piaoma.index.terms import id_terms, normal, text_terms, words_of

PLACES = st.sets(st.integers(0, bits.BLOCK - 1), max_size=600)
NUMBERS = st.lists(st.integers(0, (1 << 20) - 1), min_size=1, max_size=60)
TEXTS = st.text(st.sampled_from("武汉科技餐费abAB12３４（） -_"), max_size=14)


@given(PLACES)
def test_a_set_comes_back_and_its_places_from_the_last(places: set[int]) -> None:
    """Few places and many, in both forms of storage."""
    found = bits.from_places(places)
    assert bits.decode(bits.encode(found)) == found
    assert list(bits.places_of(found)) == sorted(places, reverse=True)


@given(PLACES, st.integers(0, bits.BLOCK - 1))
def test_a_stored_set_grows_as_a_set(places: set[int], cut: int) -> None:
    """Later places added in two turns are as all at once."""
    early, late = sorted(place for place in places if place < cut), sorted(place for place in places if place >= cut)
    stored = bits.extended(bits.extended(None, early), late)
    assert bits.decode(stored) == bits.from_places(places)


@given(NUMBERS, st.integers(0, 1 << 20), st.integers(0, 1 << 20), st.integers(0, 60))
def test_slices_find_ranges_and_sums(numbers: list[int], least: int, most: int, cut: int) -> None:
    """Against lists, also after a round through storage and in two turns."""
    slices = bits.Slices.empty(20)
    slices.append(numbers[:cut])
    slices = bits.Slices.decode(slices.encode(), 20, slices.size)
    slices.append(numbers[cut:])
    slices = bits.Slices.decode(slices.encode(), 20, slices.size)
    fit = {place for place, number in enumerate(numbers) if least <= number <= most}
    assert set(bits.places_of(slices.between(least, most))) == fit
    assert set(bits.places_of(slices.between(None, most))) == {p for p, n in enumerate(numbers) if n <= most}
    assert slices.sum(bits.from_places(fit)) == sum(numbers[place] for place in fit)


@given(TEXTS, TEXTS, TEXTS)
def test_a_text_has_every_term_of_every_part_of_it(before: str, part: str, after: str) -> None:
    """So nothing that holds the words is missed; what is called exact needs no second look."""
    terms = text_terms(before + part + after)
    for word in normal(part).split():
        wanted = words_of(word)
        assert set(wanted.terms) <= terms
    other, wanted = text_terms(before + after), words_of(part)
    if wanted.exact and wanted.terms and set(wanted.terms) <= other:
        assert all(word in normal(before + after) for word in wanted.words)


def test_numbers_are_found_by_four_digits_and_more() -> None:
    """From the beginning, the middle, the end; a pair of digits alone is no term of a number."""
    terms = id_terms("26990000000000001234")
    for typed in ("2699", "26990000", "1234", "0001234", "２６９９"):
        assert set(words_of(typed).terms) <= terms
    assert not set(words_of("12").terms) & terms
