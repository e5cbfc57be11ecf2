import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from ml_backend.errors import ModelError
from ml_backend.predictors.hub import model_folder
from ml_backend.predictors.text import TextPredictor
from tests.sentences import ENTITIES, TOPICS, joined, sentences
from tests.text_models import BIO, WINDOW, make_classifier, make_tagger
from tests.unit.test_text_tags import readings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    make_tagger(root / "tagger")
    make_classifier(root / "topics")
    make_classifier(root / "named", multiple=True)
    return root


@pytest.fixture(scope="module")
def tagger(folder):
    return TextPredictor("transformers:tagger", folder, threads=1)


@pytest.fixture
def copied(folder, tmp_path):
    """A folder of its own, to be broken."""
    return shutil.copytree(folder / "tagger", tmp_path / "broken")


def triples(predictor, texts, least=0.5):
    """Per text what is predicted: start, end, entity and score."""
    said = predictor.predict(texts, "span")
    found = [[] for _ in texts]
    for row, item in enumerate(said.item.tolist()):
        if said.score[row] >= least:
            start, end = (int(place) for place in said.outline[row])
            found[item].append((start, end, predictor.classes[said.label[row]], said.score[row]))
    return found


def test_a_tagger_cuts_out_just_what_is_named(tagger):
    truth = sentences(90, seed=5)
    found = triples(tagger, [one.text for one in truth])
    right = sum(
        [span[:3] for span in spans] == list(one.spans)
        for spans, one in zip(found, truth, strict=True)
    )
    assert tagger.classes == ENTITIES
    assert (tagger.reads, tagger.serves) == ("text", {"span"})
    assert right >= 87


def test_columns_are_as_promised(tagger):
    texts = ["", *(one.text for one in sentences(9)), "  "]
    said = tagger.predict(texts, "span")
    assert len(said) == 11
    assert not said.size.any()
    assert said.probs.shape == (11, 0)
    assert (np.diff(said.item) >= 0).all()
    assert ((said.score >= 0.02) & (said.score <= 1)).all()
    assert said.outline.table(2).shape == (len(said.item), 2)
    types = (said.size, said.item, said.label, said.score, said.probs)
    assert [str(one.dtype) for one in types] == ["int32", "int64", "int32", "float32", "float32"]
    assert len(tagger.predict([], "span")) == 0


def test_scores_are_those_of_a_sum_over_all_readings(tagger, folder):
    text = "Ana Brandt saw Oslo"
    model = AutoModelForTokenClassification.from_pretrained(folder / "tagger")
    given = AutoTokenizer.from_pretrained(folder / "tagger")(text, return_tensors="pt")
    with torch.inference_mode():
        probs = model(**given).logits[0].softmax(-1).numpy()
    words = given.word_ids()
    probs = np.array([probs[words.index(word)] for word in range(4)], dtype=np.float64)
    edges = [(0, 3), (4, 10), (11, 14), (15, 19)]

    expected = {
        (edges[first][0], edges[last][1], ENTITIES[label]): chance
        for (first, last, label), chance in readings(probs, [True] * 3).items()
        if chance >= 0.02
    }
    found = {span[:3]: span[3] for span in triples(tagger, [text], 0)[0]}
    assert found.keys() == expected.keys()
    for span, score in found.items():
        assert score == pytest.approx(expected[span], abs=2e-3)


def test_a_long_text_is_read_as_its_parts_are_and_each_span_once(tagger):
    parts = sentences(60, seed=7)
    whole = joined(parts)
    assert len(whole.text) > 20 * WINDOW
    found = [span[:3] for span in triples(tagger, [whole.text])[0]]
    apart = triples(tagger, [one.text for one in parts])
    moved, at = [], 0
    for one, spans in zip(parts, apart, strict=True):
        moved += [(start + at, end + at, label) for start, end, label, _ in spans]
        at += len(one.text) + 1
    assert len(set(found)) == len(found)
    assert len(set(found) & set(whole.spans)) >= 0.97 * len(whole.spans)
    assert len(set(found) ^ set(moved)) <= 0.03 * len(moved)


def test_a_text_is_read_alike_alone_and_among_others(tagger):
    texts = [joined(sentences(1 + row % 4, seed=row)).text for row in range(40)]
    for text, among in zip(texts, triples(tagger, texts, 0.03), strict=True):
        (alone,) = triples(tagger, [text], 0.03)
        assert {span[:3] for span in among if span[3] > 0.031} <= {span[:3] for span in alone}


@pytest.mark.parametrize(
    "odd",
    [
        "\0\0",
        "a\0b",
        "\ud800",
        "😀 👨\u200d👩\u200d👧 ❤\ufe0f",
        "e\u0301 Zoe\u0308",
        "\ufeff\u200b\u2028",
        "שלום עולם",
        "مرحبا\u200f",
        "\u202eabc\u202c",
        "東京は晴れ",
        "ภาษาไทย",
        "\r\n\t  \x0b",
        "\U0001d4b3" * 300,
        "<b>&amp;</b>",
        "[SEP] [CLS] [PAD]",
        "a" * 5000,
    ],
)
def test_what_stands_before_a_name_does_not_move_it(tagger, odd):
    text = f"{odd} A storm is expected in New York, warned Olga this morning."
    (found,) = triples(tagger, [text], 0)
    for start, end, _, _ in found:
        assert 0 <= start < end <= len(text)
        assert text[start:end].strip() == text[start:end]
    best = max((span for span in found if span[2] == "place"), key=lambda span: span[3])
    assert text[best[0] : best[1]] == "New York"


@pytest.mark.parametrize("text", ["", " ", "\n\t\r", "\u3000", "\0"])
def test_where_nothing_is_written_nothing_is_found(tagger, text):
    assert triples(tagger, [text], 0) == [[]]


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, " " * 1_000_000, "Oslo. " * 166_000, "😀" * 1_000_000]
)
def test_a_million_characters_take_seconds(tagger, text):
    start = time.perf_counter()
    tagger.predict([text], "span")
    assert time.perf_counter() - start < 60


def test_classes_are_told_by_their_probabilities(folder):
    predictor = TextPredictor("transformers:topics", folder, threads=1)
    truth = sentences(60, seed=5)
    said = predictor.predict([one.text for one in truth], "choice")
    assert (predictor.classes, predictor.serves) == (TOPICS, {"choice"})
    assert len(said.item) == 0
    np.testing.assert_allclose(said.probs.sum(axis=1), 1, atol=1e-5)
    right = said.probs.argmax(axis=1) == [TOPICS.index(one.topic) for one in truth]
    assert right.mean() >= 0.95


def test_in_halves_as_on_a_gpu_it_says_nearly_the_same(folder):
    texts = [one.text for one in sentences(20, seed=3)]
    for name, geometry in (("tagger", "span"), ("topics", "choice")):
        whole, halves = (TextPredictor(f"transformers:{name}", folder, 1) for _ in range(2))
        network = halves._model.network.half()
        said, expected = (model.predict(texts, geometry) for model in (halves, whole))
        np.testing.assert_allclose(said.probs, expected.probs, atol=0.01)
        sure, wanted = said.score > 0.1, expected.score > 0.1
        np.testing.assert_array_equal(said.item[sure], expected.item[wanted])
        np.testing.assert_allclose(said.score[sure], expected.score[wanted], atol=0.01)
        assert network.dtype == torch.float16


def test_a_model_too_large_for_halves_goes_on_in_float32(folder):
    texts = [one.text for one in sentences(20, seed=3)]
    said = []
    for halves in (False, True):
        model = TextPredictor("transformers:topics", folder, 1)
        network = model._model.network
        layer = network.bert.encoder.layer[0]
        with torch.no_grad():
            layer.intermediate.dense.weight *= 1000
            layer.output.dense.weight *= 1000
        network.half()
        if not halves:
            network.float()
        said.append(model.predict(texts, "choice").probs)
        assert network.dtype == torch.float32
    np.testing.assert_allclose(said[1], said[0], rtol=1e-5)


def test_classes_that_can_hold_together_are_questions_of_their_own(folder):
    predictor = TextPredictor("transformers:named", folder, threads=1)
    truth = sentences(60, seed=5)
    said = predictor.predict([one.text for one in truth], "choice")
    named = [[name in {label for *_, label in one.spans} for name in ENTITIES] for one in truth]
    assert ((said.probs > 0.5) == named).mean() >= 0.9
    assert (said.probs.sum(axis=1) > 1.5).any()


def test_a_classifier_reads_the_beginning_of_long_texts_and_knows_nothing_of_empty_ones(folder):
    predictor = TextPredictor("transformers:topics", folder, threads=1)
    start = joined(sentences(20, seed=3)).text
    said = predictor.predict([start, start + " And so on." * 500, ""], "choice").probs
    np.testing.assert_allclose(said[0], said[1], atol=1e-5)
    np.testing.assert_array_equal(said[2], 0)
    several = TextPredictor("transformers:named", folder, threads=1)
    np.testing.assert_allclose(several.predict([" "], "choice").probs, 0)


def test_only_what_a_model_is_made_for_is_asked_of_it(tagger):
    with pytest.raises(ModelError, match="finds spans of texts, not choice of texts"):
        tagger.predict(["a"], "choice")
    with pytest.raises(ModelError, match="finds spans of texts, not span of images"):
        tagger.predict([np.zeros((2, 2, 3), dtype=np.uint8)], "span")


def edited(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def without_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def with_slow_tokenizer(folder):
    without_tokenizer(folder)
    (folder / "vocab.json").write_text('{"<unk>": 0, "a</w>": 1, "<pad>": 2}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')


def with_part_of_the_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5000])


def without_a_head(folder):
    weights = load_file(folder / "model.safetensors")
    torch.save(
        {name: table for name, table in weights.items() if "classifier" not in name},
        folder / "pytorch_model.bin",
    )
    (folder / "model.safetensors").unlink()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a model file has run')",)


def with_code_in_the_weights(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"classifier.weight": Evil()}, folder / "pytorch_model.bin")


def with_numbers_that_are_none(folder):
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


BROKEN = {
    "no config": (lambda at: (at / "config.json").unlink(), "no folder with a config.json"),
    "broken config": (lambda at: (at / "config.json").write_text("{"), "is not JSON"),
    "deep config": (lambda at: (at / "config.json").write_text("[" * 99999), "is not JSON"),
    "list for config": (lambda at: (at / "config.json").write_text("[]"), "holds no JSON object"),
    "binary config": (lambda at: (at / "config.json").write_bytes(b"\xff\0"), "is not JSON"),
    "unknown family": (lambda at: edited(at, model_type="mine"), "family 'mine'"),
    "code of its own": (
        lambda at: edited(at, model_type="mine", auto_map={"AutoModel": "mine.Mine"}),
        "comes with code of its own, which Relook never runs",
    ),
    "a language model": (
        lambda at: edited(at, architectures=["BertLMHeadModel"]),
        "is a BertLMHeadModel; of text models Relook serves",
    ),
    "no architecture": (lambda at: edited(at, architectures=None), "of no named architecture"),
    "an adapter": (lambda at: (at / "adapter_config.json").write_text("{}"), "is an adapter"),
    "no tokenizer": (without_tokenizer, "has no tokenizer; save it there too"),
    "slow tokenizer": (with_slow_tokenizer, "has a slow tokenizer"),
    "broken tokenizer": (lambda at: (at / "tokenizer.json").write_text("{}"), "cannot be loaded"),
    "no weights": (lambda at: (at / "model.safetensors").unlink(), "cannot be loaded"),
    "truncated weights": (with_part_of_the_weights, "cannot be loaded"),
    "no head": (without_a_head, "lacks weights .classifier.bias"),
    "code in the weights": (with_code_in_the_weights, "cannot be loaded"),
    "other sizes": (lambda at: edited(at, hidden_size=64), "cannot be loaded"),
    "odd sizes": (lambda at: edited(at, hidden_size="many"), "cannot be loaded"),
    "gaps in the labels": (
        lambda at: edited(at, id2label={str(row * 2): tag for row, tag in enumerate(BIO)}),
        "expected 0 to 6",
    ),
    "no class": (
        lambda at: edited(at, id2label={str(row): "O" for row in range(7)}),
        "names a class; set id2label",
    ),
}


@pytest.mark.parametrize(("harm", "said"), BROKEN.values(), ids=BROKEN)
def test_a_folder_that_is_no_good_gets_one_error_that_says_why(copied, harm, said):
    harm(copied)
    with pytest.raises(ModelError, match=said) as caught:
        TextPredictor("transformers:broken", copied.parent, threads=1)
    assert "'broken'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model_is_told(copied):
    edited(copied, vocab_size=300)
    weights = load_file(copied / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    weights[name] = weights[name][:300].clone()
    torch.save(weights, copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="pieces and the model 300"):
        TextPredictor("transformers:broken", copied.parent, threads=1)


def test_a_model_for_one_number_is_no_classifier(folder, tmp_path):
    at = shutil.copytree(folder / "topics", tmp_path / "broken")
    edited(at, problem_type="regression")
    with pytest.raises(ModelError, match="gives one number, not classes"):
        TextPredictor("transformers:broken", at.parent, threads=1)


def test_a_model_of_broken_numbers_fails_in_words(copied):
    with_numbers_that_are_none(copied)
    with pytest.raises(ModelError, match=r"broken@.{8} failed on a batch: it gives numbers that"):
        TextPredictor("transformers:broken", copied.parent, threads=1)


def test_a_version_is_known_before_a_model_is_loaded_and_changes_with_any_file(tagger, copied):
    name = "transformers:broken"
    before = TextPredictor.version_of(name, copied.parent)
    assert before.removeprefix(f"{name}@") == tagger.version.removeprefix("transformers:tagger@")
    seen = {before}
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        (copied / file).write_bytes((copied / file).read_bytes() + b" ")
        seen.add(TextPredictor.version_of(name, copied.parent))
    assert len(seen) == 4


OFFLINE = """
import sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, given: opened.append((event, given)) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.sendto") else None)
from ml_backend.errors import ModelError
from ml_backend.predictors.text import TextPredictor
root = Path(sys.argv[1])
for name in ("tagger", "topics", "pickled"):
    predictor = TextPredictor(f"transformers:{name}", root, 1)
    predictor.predict(["Ana Brandt saw Oslo."], *predictor.serves)
try:
    TextPredictor.version_of("transformers:dslim/bert-base-NER", root)
except ModelError as error:
    print(error)
print("opened", opened)
"""


def test_no_connection_is_opened_where_downloads_are_off(folder):
    pickled = shutil.copytree(folder / "tagger", folder / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(folder)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "'dslim/bert-base-NER' is not in the model folder" in done.stdout
    assert "models of the Hugging Face hub are not allowed" in done.stdout
    assert done.stdout.endswith("opened []\n")


@pytest.mark.parametrize("name", ["../tagger", "/etc", "a/b/c", "a b", "", ".", "é", "a\0", "a//b"])
def test_names_that_are_none_are_never_asked_for(folder, name):
    with pytest.raises(ModelError):
        model_folder(folder / "topics", name, downloads=True)


def test_a_folder_goes_before_the_hub(folder):
    assert model_folder(folder, "tagger", downloads=True) == (folder / "tagger").resolve()
