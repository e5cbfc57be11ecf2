import pytest

from ml_backend.errors import MediaError, TokenRefusedError
from ml_backend.labelstudio.files.texts import TextReader, check_texts

FILES = {
    "/data/plain.txt": "Zoë in Köln 😀\r\n\u05e9\u05dc\u05d5\u05dd".encode(),
    "/data/mark.txt": b"\xef\xbb\xbfhello",
    "/data/latin.txt": "Köln".encode("latin-1"),
    "/data/utf16.txt": "hello".encode("utf-16"),
    "/data/empty.txt": b"",
    "/data/long.txt": b"a" * 1_000_001,
}


def fetch(task, address):
    if address == "/data/private.txt":
        raise TokenRefusedError("the token is wrong")
    if address not in FILES:
        raise MediaError(f"task {task}: file {address!r} answers HTTP 404; check it")
    return FILES[address]


def test_files_are_read_as_browsers_do_and_faults_stay_with_their_task():
    addresses = [*FILES, "/data/gone.txt", "", 7, None]
    found = TextReader(fetch).read(range(len(addresses)), addresses)
    assert found[:2] == ["Zoë in Köln 😀\r\n\u05e9\u05dc\u05d5\u05dd", "hello"]
    assert found[4] == ""
    said = [str(one) for one in found if isinstance(one, MediaError)]
    expected = [
        "task 2: text '/data/latin.txt' is not UTF-8 (byte 1 is 0xf6); save it as UTF-8",
        "task 3: text '/data/utf16.txt' is not UTF-8 (byte 0 is 0xff)",
        "task 5: text '/data/long.txt' has 1000001 characters, more than 1000000; cut it",
        "task 6: file '/data/gone.txt' answers HTTP 404",
        "task 7 has no address of a text in the field that the config names",
        "task 8 has '7' where the config names a text; put it into quotes",
        "task 9 has no address of a text",
    ]
    assert len(said) == len(expected)
    for message, start in zip(said, expected, strict=True):
        assert message.startswith(start)


def test_what_label_studio_refuses_is_no_fault_of_a_task():
    with pytest.raises(TokenRefusedError):
        TextReader(fetch).read([1], ["/data/private.txt"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "has no text in the field"),
        (None, "has no text in the field"),
        (3.5, "has '3.5' where the config names a text"),
        (["a"], "where the config names a text"),
        ("a" * 1_000_001, "has 1000001 characters, more than 1000000"),
    ],
    ids=["empty", "missing", "number", "list", "long"],
)
def test_values_that_are_no_text_are_said(value, said):
    (found,) = check_texts([4], [value])
    assert isinstance(found, MediaError)
    assert str(found).startswith("task 4")
    assert said in str(found)


def test_texts_pass_as_they_are():
    texts = [" \n", "a\0b", "\ud800", "e\u0301", "a" * 1_000_000]
    assert check_texts(range(5), texts) == texts
