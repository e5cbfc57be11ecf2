import base64
import io

import pytest
from PIL import Image

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files.media import MediaReader
from ml_backend.settings import ServiceSettings

ROOT = "http://labels.example:8080"


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class Client:
    """Stands for a signed-in client where no request is sent."""

    class _client_wrapper:  # noqa: N801
        @staticmethod
        def get_headers():
            return {"Authorization": "Bearer secret"}


@pytest.fixture
def reader():
    settings = ServiceSettings(LABEL_STUDIO_URL=ROOT, media_hosts=("images.example",))
    return MediaReader(Client(), settings)


@pytest.mark.parametrize(
    ("address", "url", "trusted"),
    [
        ("/data/upload/1/a.png", f"{ROOT}/data/upload/1/a.png", True),
        (f"{ROOT}/data/upload/1/a.png", f"{ROOT}/data/upload/1/a.png", True),
        ("/data/local-files/?d=a%20b/c.png", f"{ROOT}/data/local-files/?d=a%20b/c.png", True),
        (
            "/data/local-files/?d=a/..b/100%25.png",
            f"{ROOT}/data/local-files/?d=a/..b/100%25.png",
            True,
        ),
        ("/data/upload/1/a b.png", f"{ROOT}/data/upload/1/a%20b.png", True),
        ("/data/upload/1/a%20b.png", f"{ROOT}/data/upload/1/a%20b.png", True),
        ("https://images.example/a.png", "https://images.example/a.png", False),
        ("s3://bucket/a.png", f"{ROOT}/tasks/7/presign/?fileuri=czM6Ly9idWNrZXQvYS5wbmc=", True),
        # A query reads a plus as a space.
        ("gs://b/a~b.jpg", f"{ROOT}/tasks/7/presign/?fileuri=Z3M6Ly9iL2F-Yi5qcGc=", True),
    ],
)
def test_where_images_come_from(reader, address, url, trusted):
    assert reader._locate(7, address) == (url, trusted)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a.png",
        "http://labels.example/a.png",
        "http://labels.example:8080@evil.example/a.png",
        "//evil.example/a.png",
        "file:///etc/passwd",
        "/api/users/",
        "/data/../api/users/",
        "/tasks/8/presign/?fileuri=czM6Ly9hL2I=",
        "/tasks/8/resolve/?fileuri=czM6Ly9hL2I=",
        "/data/%2e%2e/api/users/",
        f"{ROOT}/user/logout",
        "http://[x",
        "s3://bucket/\ud800",
        "/data/x?d=\x01",
        "/data/" + "x" * 70_000,
    ],
)
def test_nothing_is_fetched_from_elsewhere(reader, address):
    (error,) = reader.fetch_all([7], [address])
    assert isinstance(error, MediaError)
    assert "task 7" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("root", ["", ROOT])
@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "a/../../secret", "..", "a/.."),
        *("%2e%2e/secret", "a/%2E./secret", "..%2fsecret", "%252e%252e%252fsecret"),
        *("/etc/passwd", "%2fetc/passwd", "%252fetc%252fpasswd", "//etc/passwd"),
        *("a%00.png", "a%2500.png", "..%5csecret", "a\\b.png", "a%255cb.png"),
        *("a.png&d=../secret", "a.png&%64=../secret"),
    ],
)
def test_no_name_leads_out_of_a_local_storage(reader, root, name):
    (error,) = reader.fetch_all([7], [f"{root}/data/local-files/?d={name}"])
    assert isinstance(error, MediaError)
    assert "task 7" in str(error)
    assert "leads out of its local storage" in str(error)


def test_inline_images_need_no_request(reader):
    content = base64.b64encode(encoded(Image.new("RGB", (3, 2)))).decode()
    addresses = [f"data:image/png;base64,{content}", "data:x;base64,?"]
    (file, broken) = reader.fetch_all([1, 2], addresses)
    assert file.pixels == 6
    (image,) = reader.decode_all([file])
    assert image.shape == (2, 3, 3)
    assert "not valid base64" in str(broken)


def test_what_is_said_of_a_file_that_breaks_off_names_its_task(reader):
    whole = encoded(Image.effect_noise((60, 60), 50))
    content = base64.b64encode(whole[: len(whole) // 2]).decode()
    (file,) = reader.fetch_all([7], [f"data:image/png;base64,{content}"])
    assert file.pixels == 3600
    (error,) = reader.decode_all([file])
    assert "task 7: image 'data:image/png" in str(error)
    assert "is not an image that can be read" in str(error)


def test_nothing_is_decoded_of_too_many_pixels():
    reader = MediaReader(Client(), ServiceSettings(LABEL_STUDIO_URL=ROOT, image_max_megapixels=1))
    content = base64.b64encode(encoded(Image.new("1", (1001, 1000)))).decode()
    (error,) = reader.fetch_all([7], [f"data:image/png;base64,{content}"])
    assert "task 7" in str(error)
    assert "more than 1 megapixels" in str(error)


@pytest.mark.parametrize("door", ["presign", "resolve"])
def test_a_task_names_no_file_of_another_tasks_storage(reader, door):
    (error,) = reader.fetch_all([7], [f"/tasks/8/{door}/?fileuri=czM6Ly9hL2I="])
    assert "is a file of task 8" in str(error)
    own = f"/tasks/7/{door}/?fileuri=czM6Ly9hL2I="
    assert reader._locate(7, own) == (ROOT + own, True)
