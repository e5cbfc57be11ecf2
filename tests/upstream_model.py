"""An ML backend as people write them with label-studio-ml 1.0.9: boxes around ink, named by scans.

It runs in the environment of that package, as a server of its own (``python -m
tests.upstream_model PORT FOLDER``) or as a class inside Relook.
"""

import base64
import io
import os
import sys
import urllib.request

import numpy as np
from label_studio_ml.model import LabelStudioMLBase
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits

INK = 140  # Of 255; the paper is lighter, the ink darker.
SMALLEST = 60  # Pixels of ink.
SIDE = 12


class DigitBoxes(LabelStudioMLBase):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        ((self.from_name, tag),) = self.parsed_label_config.items()
        self.to_name = tag["to_name"][0]
        self.key = tag["inputs"][0]["value"]
        bunch = load_digits()
        tight = [
            scan[np.ix_(np.flatnonzero((scan > 4).any(1)), np.flatnonzero((scan > 4).any(0)))]
            for scan in bunch.images
        ]
        self.scans = np.stack([sample(scan / 16) for scan in tight])
        self.names = bunch.target

    def predict(self, tasks, **kwargs):
        return [self.of_image(read_image(task["data"][self.key])) for task in tasks]

    def of_image(self, image):
        ink = image < INK
        pieces, _ = ndimage.label(ink, structure=np.ones((3, 3)))
        boxes = [
            place
            for number, place in enumerate(ndimage.find_objects(pieces), 1)
            if (pieces[place] == number).sum() >= SMALLEST
        ]
        regions = [self.region(image, rows, columns) for rows, columns in boxes]
        return {
            "result": regions,
            "score": float(np.mean([region["score"] for region in regions] or [0])),
        }

    def region(self, image, rows, columns):
        seen = sample(1 - image[rows, columns] / 255)
        nearness = np.exp(-((self.scans - seen) ** 2).sum(1) / 8)
        per_digit = np.array([nearness[self.names == digit].max() for digit in range(10)])
        digit = int(per_digit.argmax())
        height, width = image.shape
        return {
            "from_name": self.from_name,
            "to_name": self.to_name,
            "type": "rectanglelabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "x": 100 * columns.start / width,
                "y": 100 * rows.start / height,
                "width": 100 * (columns.stop - columns.start) / width,
                "height": 100 * (rows.stop - rows.start) / height,
                "rotation": 0,
                "rectanglelabels": [str(digit)],
            },
            "score": float(per_digit[digit] / per_digit.sum()),
        }


def sample(ink):
    """A piece of ink as a unit vector of SIDE x SIDE."""
    small = Image.fromarray((255 * ink).astype(np.uint8)).resize((SIDE, SIDE))
    flat = np.asarray(small, dtype=np.float64).reshape(-1)
    flat -= flat.min()
    return flat / (np.linalg.norm(flat) or 1)


def read_image(address):
    if address.startswith("data:"):
        content = base64.b64decode(address.partition(",")[2], validate=True)
    else:
        # Its own way to Label Studio's files: Relook hands on no token.
        request = urllib.request.Request(
            os.environ["DIGIT_BOXES_LABEL_STUDIO"] + address,
            headers={"Authorization": os.environ["DIGIT_BOXES_AUTHORIZATION"]},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


if __name__ == "__main__":
    from label_studio_ml.api import init_app

    port, folder = sys.argv[1:]
    init_app(model_class=DigitBoxes, model_dir=folder).run(host="127.0.0.1", port=int(port))
