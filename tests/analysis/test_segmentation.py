import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import segmentation

LABELS = np.array([[[1, 2, 2], [2, 2, 0]]])
PROBS = np.array(
    [
        [
            [[0.62, 0.91, 0.74], [0.02, 0.01, 0.23]],
            [[0.38, 0.09, 0.22], [0.03, 0.48, 0.12]],
            [[0.00, 0.00, 0.04], [0.95, 0.51, 0.65]],
        ]
    ]
)


def random_images(count=5, seed=0, shape=(7, 9)):
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.ones(4), (count, *shape)).transpose(0, 3, 1, 2)
    return random.integers(0, 4, (count, *shape)), probs


def test_quality_is_cleanlabs():
    # cleanlab 2.9 segmentation.rank.get_label_quality_scores(LABELS, PROBS).
    assert segmentation.image_quality(LABELS, PROBS) == pytest.approx([0.03421319], abs=1e-8)
    np.testing.assert_allclose(
        segmentation.pixel_quality(LABELS, PROBS), [[[0.38, 0, 0.04], [0.95, 0.51, 0.23]]]
    )
    assert segmentation.mistakenness(LABELS, PROBS) == pytest.approx([1 - 0.03421319])


@pytest.mark.parametrize("block", [1, 20, 64, 130, 1 << 17])
def test_blocks_change_nothing(monkeypatch, block):
    labels, probs = random_images()
    labels[0, 1] = -1
    own = np.take_along_axis(probs, labels.clip(0)[:, None], axis=1)[:, 0]
    weight = np.where(labels < 0, 0, np.exp((1 - own) / 0.1))
    wanted = (own * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    monkeypatch.setattr(segmentation, "_BLOCK", block)
    np.testing.assert_allclose(segmentation.image_quality(labels, probs), wanted, rtol=1e-12)
    pixels = segmentation.pixel_quality(labels, probs)
    np.testing.assert_array_equal(np.isnan(pixels), labels < 0)
    np.testing.assert_allclose(pixels[labels >= 0], own[labels >= 0], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(5)), st.sampled_from([0.01, 0.1, 10.0]))
def test_one_image_does_not_depend_on_the_others(seed, order, temperature):
    labels, probs = random_images(seed=seed)
    quality = segmentation.image_quality(labels, probs, temperature=temperature)
    assert ((quality >= 0) & (quality <= 1)).all()
    again = segmentation.image_quality(labels[order], probs[order], temperature=temperature)
    np.testing.assert_allclose(again, quality[order], rtol=1e-12)


def test_no_labels_nothing_wrong():
    labels, probs = random_images(2)
    labels[1] = -1
    assert segmentation.mistakenness(labels, probs)[1] == 0
    assert segmentation.image_quality(labels[:0], probs[:0]).shape == (0,)
    assert segmentation.image_quality(labels[:, :0], probs[:, :, :0]).tolist() == [1, 1]
    assert segmentation.image_quality(LABELS * 0, PROBS[:, :1] * 0 + 1).tolist() == [1]


def broken(which, at, value):
    labels, probs = random_images()
    (labels if which == "labels" else probs)[at] = value
    return labels, probs


@pytest.mark.parametrize(
    ("labels", "probs", "said"),
    [
        (*broken("labels", (3, 2, 5), 4), r"labels image 3 pixel \(5, 2\) is 4, expected -1 to 3"),
        (*broken("labels", (3, 2, 5), -2), "is -2, expected"),
        (*broken("probs", (2, 1, 6, 8), 3), r"probs image 2 pixel \(8, 6\) sum to"),
        (*broken("probs", (2, 1, 6, 8), np.nan), r"probs image 2 pixel \(8, 6\) sum to nan"),
        (*broken("probs", (1, slice(None), 0, 0), [2, -1, 2, -2]), r"image 1 pixel \(0, 0\) hold"),
        (LABELS[0], PROBS, "do not match"),
        (LABELS, PROBS[:, :, :1], "do not match"),
        (LABELS.astype(float), PROBS, "expected integer classes"),
    ],
)
def test_wrong_pixels_are_named(labels, probs, said):
    with pytest.raises(ValueError, match=said):
        segmentation.image_quality(labels, probs)


def test_too_cold_is_refused():
    with pytest.raises(ValueError, match="temperature is 0"):
        segmentation.image_quality(LABELS, PROBS, temperature=0)
