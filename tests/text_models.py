"""Text models so small that a test trains them: a tagger and classifiers of ``tests.sentences``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
)

from tests.sentences import ENTITIES, TOPICS, Sentence, sentences

WINDOW = 64
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
BIO = ("O", *(f"{side}-{name}" for name in ENTITIES for side in "BI"))


def make_tagger(folder: Path) -> None:
    """Train a tagger in BIO, words tagged by their first piece, and save it."""
    tokenizer = _tokenizer()
    truth = sentences(600, seed=1)
    batch = tokenizer([one.text for one in truth], padding=True, return_offsets_mapping=True)
    labels = np.full(np.shape(batch["input_ids"]), -100)
    for row, one in enumerate(truth):
        before = None
        for place, word in enumerate(batch.word_ids(row)):
            if word is not None and word != before:
                labels[row, place] = _tag(one, batch["offset_mapping"][row][place][0])
            before = word
    model = BertForTokenClassification(_config(BIO))
    _train(model, batch, torch.from_numpy(labels), steps=300)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_classifier(folder: Path, *, multiple: bool = False) -> None:
    """Train a classifier of topics, or of which entities a text names, and save it."""
    tokenizer = _tokenizer()
    truth = sentences(600, seed=1)
    batch = tokenizer([one.text for one in truth], padding=True)
    if multiple:
        config = _config(ENTITIES, problem_type="multi_label_classification")
        named = [{label for _, _, label in one.spans} for one in truth]
        labels = torch.tensor([[float(name in has) for name in ENTITIES] for has in named])
    else:
        config = _config(TOPICS, problem_type="single_label_classification")
        labels = torch.tensor([TOPICS.index(one.topic) for one in truth])
    model = BertForSequenceClassification(config)
    _train(model, batch, labels, steps=240)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_embedder(folder: Path, network: Path) -> None:
    """Save a model of sentences: the mean of what a network sees in their words."""
    words = Transformer(str(network))
    pooled = Pooling(words.get_embedding_dimension())
    SentenceTransformer(modules=[words, pooled], device="cpu").save(str(folder))


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = _vocabulary()
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), _SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=WINDOW, **names, padding_side="right"
    )


def _vocabulary() -> dict[str, int]:
    """Letters, and the beginnings and rests of words: made, since a trained one varies by run."""
    words = sorted(
        {word for one in sentences(600, seed=1) for word in re.findall(r"\w+", one.text)}
    )
    letters = sorted({letter for one in sentences(600, seed=1) for letter in one.text} - {" "})
    pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    pieces += [word[:4] for word in words] + [f"##{word[4:]}" for word in words if len(word) > 4]
    return {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}


def _config(labels: Sequence[str], **options: Any) -> BertConfig:
    torch.manual_seed(0)
    return BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0,
        attention_probs_dropout_prob=0,
        max_position_embeddings=WINDOW,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        **options,
    )


def _train(model: Any, batch: Any, labels: torch.Tensor, steps: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ids, mask = torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"])
    random = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(ids), (48,), generator=random)
        # Sentences stand anywhere in a long text, so positions must not matter.
        shift = int(torch.randint(WINDOW - ids.shape[1] + 1, (1,), generator=random))
        place = torch.arange(ids.shape[1]) + shift
        model(
            input_ids=ids[rows],
            attention_mask=mask[rows],
            position_ids=place.expand(len(rows), -1),
            labels=labels[rows],
        ).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        rate.step()
    torch.set_num_threads(threads)


def _tag(one: Sentence, place: int) -> int:
    for start, end, label in one.spans:
        if start <= place < end:
            return 1 + 2 * ENTITIES.index(label) + (place > start)
    return 0
