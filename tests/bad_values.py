"""Values that nobody sends by mistake."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["anything", "numbers", "texts"]

numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 1 << 31, 1 << 53, 1 << 63, 10**30, 1e308, 5e-324])
)
texts = st.text(max_size=8) | st.sampled_from(["", "\x00", "\u202e", "٣", "<script>", "../..", "%"])
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
