"""Model classes as people write them, for the tests of what runs in process."""

import numpy as np
from label_studio_sdk.label_interface.objects import PredictionValue
from pydantic import BaseModel


def choice(name, **more):
    return {
        "from_name": "one",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [name]},
        **more,
    }


class ModelResponse(BaseModel):
    """As label-studio-ml 2.x has it."""

    model_version: str | None = None
    predictions: list[PredictionValue | list[PredictionValue]]


class Second:
    """The constructor and the methods of label-studio-ml 2.x's base."""

    def __init__(self, project_id=None, label_config=None):
        self.project_id = project_id
        self.label_config = label_config
        self.model_version = "0.0.1"
        self.setup()

    def setup(self):
        self.seen = 0

    def predict(self, tasks, context=None, **kwargs):
        assert context is None
        assert not kwargs
        self.seen += len(tasks)
        said = [PredictionValue(result=[choice(task["data"]["name"], score=0.8)]) for task in tasks]
        return ModelResponse(predictions=said)


class SecondHandsOn(Second):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_version = f"of project {self.project_id}, {len(self.label_config)} letters"


class First:
    """The constructor and the method of label-studio-ml 1.x's base."""

    def __init__(self, label_config=None, train_output=None, **kwargs):
        self.label_config = label_config
        self.train_output = train_output or {}

    def predict(self, tasks, **kwargs):
        assert not kwargs
        for task in tasks:
            task["data"]["seen"] = True
        return [{"result": [choice("x")], "score": 0.6} for _ in tasks]


class Plain:
    def predict(self, tasks):
        return [[] for _ in tasks]


class Stumbles(Second):
    def predict(self, tasks, context=None, **kwargs):
        if any(task["data"]["name"] == "z" for task in tasks):
            raise KeyError("z")
        return super().predict(tasks)


class Exits(Second):
    def setup(self):
        raise SystemExit(3)


class Unversioned(Second):
    @property
    def model_version(self):
        raise RuntimeError("no weights")

    @model_version.setter
    def model_version(self, value):
        pass


class NoModel:
    pass


class Numbers(Second):
    def predict(self, tasks, context=None, **kwargs):
        return [{"result": [choice("x", score=np.float32(0.25))]} for _ in tasks]


class Endless(Second):
    def predict(self, tasks, context=None, **kwargs):
        loop = {}
        loop["result"] = [loop]
        return [loop if task["data"]["name"] == "z" else None for task in tasks]
