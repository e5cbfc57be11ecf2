"""Predictions on their way to a real Label Studio, from a real store, under a real lock."""

import numpy as np
import pytest
from pydantic import SecretStr
from redis.exceptions import LockNotOwnedError

from ml_backend.demo.projects import CONFIGS
from ml_backend.errors import LabelStudioError
from ml_backend.jobs.project.outgoing import Outgoing
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.tasks.reader import read_project
from ml_backend.settings import ServiceSettings
from ml_backend.storage.tables import Tables


class Interrupted(Tables):
    """Tables where something else happens right after a table was read."""

    meanwhile = None

    def read(self, *asked, **more):
        rows = super().read(*asked, **more)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return rows


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield Mailbox(open_redis(ServiceSettings(REDIS_URL=server.url)))


@pytest.fixture(scope="module")
def client(label_studio):
    key = SecretStr(label_studio.token())
    return connect(ServiceSettings(LABEL_STUDIO_URL=label_studio.url, LABEL_STUDIO_API_KEY=key))


class Site:
    """A project of four tasks, and what is on its way there."""

    def __init__(self, client, mailbox, folder):
        self.client, self.mailbox = client, mailbox
        project = client.projects.create(title="Outgoing", label_config=CONFIGS["detection"]).id
        body = [{"data": {"image": f"/data/{number}.png"}} for number in range(4)]
        made = client.projects.import_tasks(id=project, request=body, return_task_ids=True)
        self.project, self.tasks = read_project(client, project), made.task_ids
        self.tables = Interrupted(str(folder))
        self.outgoing = self.sender()

    def sender(self):
        return Outgoing(self.tables, self.client, self.project, self.lock())

    def lock(self):
        return self.mailbox.lock(self.project.id, "outgoing")

    def stands(self):
        """Task to the labels that Label Studio holds predictions of, by version."""
        found = {}
        for one in self.client.predictions.list(project=self.project.id):
            (region,) = one.result
            said = (one.model_version, region["value"]["rectanglelabels"][0])
            found.setdefault(one.task, []).append(said)
        return {task: sorted(said) for task, said in found.items()}

    def waiting(self):
        return self.outgoing.waiting(np.array(self.tasks))


@pytest.fixture
def site(client, mailbox, tmp_path):
    return Site(client, mailbox, tmp_path)


def box(label):
    place = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 20.0, "rotation": 0.0}
    region = {
        **{"id": "r1", "from_name": "label", "to_name": "image", "type": "rectanglelabels"},
        **{"original_width": 128, "original_height": 128, "image_rotation": 0},
        "value": {**place, "rectanglelabels": [label]},
    }
    return [region], 0.5


def test_what_was_put_waits_until_it_is_sent_as_the_newest_left_it(site):
    one, two, three, _ = site.tasks
    site.outgoing.put("v1", {one: box("1"), two: box("2")})
    site.outgoing.put("v1", {two: box("3")})
    site.outgoing.put("v2", {two: box("4"), three: box("5")})
    assert site.waiting() == {one, two, three}
    assert site.outgoing.send(least=5) == {}
    assert site.stands() == {}
    assert site.outgoing.send(least=4) == {}
    assert site.waiting() == set()
    assert site.stands() == {
        one: [("v1", "1")],
        two: [("v1", "3"), ("v2", "4")],
        three: [("v2", "5")],
    }


def test_what_may_have_been_sent_is_looked_up_first(site):
    one, two, *_ = site.tasks
    site.outgoing.put("v1", {one: box("1"), two: box("2")})
    site.outgoing.send()
    site.outgoing.put("v1", {one: box("1"), two: box("3")}, doubtful=[one, two])
    site.outgoing.send()
    # The job that put it deletes what it replaces.
    assert site.stands() == {one: [("v1", "1")], two: [("v1", "2"), ("v1", "3")]}
    assert site.waiting() == set()


def test_what_is_put_while_another_is_being_sent_is_sent_too(site):
    one, two, *_ = site.tasks
    site.outgoing.put("v1", {one: box("1"), two: box("2")})
    beside = site.sender()
    site.tables.meanwhile = lambda: beside.put("v1", {two: box("3")}, doubtful=[two])
    site.outgoing.send()
    assert site.stands() == {one: [("v1", "1")], two: [("v1", "2"), ("v1", "3")]}
    assert site.waiting() == set()


def test_the_same_put_again_while_it_is_being_sent_is_sent_once(site):
    one, *_ = site.tasks
    site.outgoing.put("v1", {one: box("1")})
    beside = site.sender()
    site.tables.meanwhile = lambda: beside.put("v1", {one: box("1")}, doubtful=[one])
    site.outgoing.send()
    assert site.stands() == {one: [("v1", "1")]}
    assert site.waiting() == set()


def test_a_sender_that_lost_its_lock_sends_nothing_and_the_next_one_all(site):
    one, two, *_ = site.tasks
    site.outgoing.put("v1", {one: box("1"), two: box("2")})

    def lapse():
        site.mailbox.redis.delete(f"relook:lock:{site.project.id}:outgoing")
        with site.lock():
            assert site.sender().waiting(np.array(site.tasks)) == {one, two}

    site.tables.meanwhile = lapse
    with pytest.raises(LockNotOwnedError):
        site.outgoing.send()
    assert site.stands() == {}
    assert site.waiting() == {one, two}
    site.sender().send()
    assert site.stands() == {one: [("v1", "1")], two: [("v1", "2")]}


def test_what_label_studio_refuses_is_named_and_does_not_wait_for_ever(site):
    one, two, *_ = site.tasks
    site.outgoing.put("v1", {one: box("no such label"), two: box("2")})
    assert site.outgoing.send() == {one: "v1"}
    assert site.stands() == {two: [("v1", "2")]}
    assert site.waiting() == set()


def test_a_task_that_is_gone_by_then_holds_back_no_other(site):
    one, two, *_ = site.tasks
    site.outgoing.put("v1", {one: box("1"), two: box("2")})
    site.client.tasks.delete(id=str(one))
    with pytest.raises(LabelStudioError):
        site.outgoing.send()
    assert site.outgoing.send() == {}
    assert site.stands() == {two: [("v1", "2")]}
    assert site.waiting() == set()
