"""A model class of the machine's owner: it looks the answer up where the test has put it."""

import json
import os
from pathlib import Path

#: Where the test puts the truth: address of an image to what is in it.
TRUTH = Path(os.environ.get("RELOOK_TEST_TRUTH", "/tmp/relook-test-truth.json"))


class Truth:
    model_version = "looked-up"

    def __init__(self, project_id=None, label_config=None):
        pass

    def predict(self, tasks, context=None, **kwargs):
        truth = json.loads(TRUTH.read_text())
        return [{"result": truth[task["data"]["object"]], "score": 0.9} for task in tasks]
