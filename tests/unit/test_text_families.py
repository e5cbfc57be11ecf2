import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BigBirdConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLNetConfig,
)

from ml_backend.predictors.text import TextPredictor
from tests.sentences import joined, sentences

SIZE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL = {**SIZE, "intermediate_size": 16, "vocab_size": 260}
#: Families that number positions, pad or name things their own way.
FAMILIES = {
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=34, pad_token_id=1),
    "distilbert": DistilBertConfig(
        vocab_size=260, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=32
    ),
    "electra": ElectraConfig(**SMALL, embedding_size=16, max_position_embeddings=32),
    "deberta-v2": DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "modernbert": ModernBertConfig(**SMALL, pad_token_id=1),
    "xlnet": XLNetConfig(vocab_size=260, d_model=16, n_layer=1, n_head=2, d_inner=16),
    "gpt2": GPT2Config(vocab_size=260, n_embd=16, n_layer=1, n_head=2, n_positions=32),
    "llama": LlamaConfig(**SMALL, max_position_embeddings=32),
    "big_bird": BigBirdConfig(**SMALL, max_position_embeddings=32, attention_type="original_full"),
}


def tokenizer(*, framed, left=False):
    special = ["<s>", "<pad>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(BPE({piece: row for row, piece in enumerate([*special, *letters])}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    if framed:
        made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        names["pad_token"] = "<pad>"
    side = "left" if left else "right"
    return PreTrainedTokenizerFast(tokenizer_object=made, padding_side=side, **names)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def saved(folder, family, kind, labels):
    torch.manual_seed(0)
    config = FAMILIES[family]
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: row for row, label in enumerate(labels)}
    kind.from_config(config).save_pretrained(folder)
    tokenizer(framed=family not in ("gpt2", "llama"), left=family == "xlnet").save_pretrained(
        folder
    )
    return TextPredictor("transformers:model", folder.parent, threads=1)


TEXTS = ["Oslo", "", joined(sentences(12)).text, "東京 😀", "Ana Brandt saw New York."]


def test_taggers_of_every_family_read_texts_of_any_length(tmp_path, family):
    predictor = saved(
        tmp_path / "model", family, AutoModelForTokenClassification, ("O", "B-place", "I-place")
    )
    said = predictor.predict(TEXTS, "span")
    assert set(said.item.tolist()) == {0, 2, 3, 4}
    for row, (start, end) in zip(said.item, said.outline.table(2).astype(int), strict=True):
        assert TEXTS[row][start:end].strip() == TEXTS[row][start:end] != ""
    last = said.outline.table(2)[said.item == 2, 1].max()
    assert last >= len(TEXTS[2]) - 10
    for row, text in enumerate(TEXTS):
        alone = predictor.predict([text], "span")
        np.testing.assert_allclose(
            np.sort(alone.score), np.sort(said.score[said.item == row]), atol=1e-3
        )


def test_classifiers_of_every_family_say_the_same_alone_and_in_a_batch(tmp_path, family):
    predictor = saved(
        tmp_path / "model", family, AutoModelForSequenceClassification, ("good", "bad", "ugly")
    )
    said = predictor.predict(TEXTS, "choice").probs
    # Of a text without a word nothing is said.
    np.testing.assert_allclose(np.delete(said, 1, axis=0).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(said[1], 0)
    alone = np.concatenate([predictor.predict([text], "choice").probs for text in TEXTS])
    np.testing.assert_allclose(said, alone, atol=1e-4)
