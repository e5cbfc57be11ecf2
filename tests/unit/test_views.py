from typing import get_args

import pytest

from analysis.findings import KINDS
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.views import review_tabs, tab_data
from ml_backend.settings import Kind, project_settings


def test_every_kind_of_finding_can_have_a_tab():
    assert get_args(Kind) == KINDS


@pytest.mark.parametrize("none", [False, [], None])
def test_no_kind_has_one_unless_asked_for(none):
    assert project_settings({"kind_tabs": none}).kind_tabs == project_settings({}).kind_tabs == ()


def test_a_kind_that_is_none_is_named():
    with pytest.raises(SettingsError, match=r"kind_tabs.1 is 'mising'.*'missing'"):
        project_settings({"kind_tabs": ["missing", "mising"]})


def test_tabs_are_the_queue_the_kinds_and_what_was_reviewed():
    tabs = review_tabs("Queue", ("missing", "badly_drawn", "missing"))
    assert [tab.title for tab in tabs] == [
        "Queue",
        "Queue: missing",
        "Queue: badly drawn",
        "Reviewed",
    ]
    assert len({tab.name for tab in tabs}) == 4


def test_a_queue_is_by_priority_as_a_number_and_shows_no_more_than_matters():
    data = tab_data(review_tabs("Queue", ("missing",))[1], "relook", ["image"], ["split"])
    assert data["ordering"] == ["-tasks:data.relook_priority"]
    assert data["columnsDisplayType"] == {"tasks:data.relook_priority": "Number"}
    said = [(one["filter"], one["value"]) for one in data["filters"]["items"]]
    assert data["filters"]["conjunction"] == "and"
    assert said == [
        ("filter:tasks:data.relook_flag", "needs-review"),
        ("filter:tasks:data.relook_kind", "missing"),
    ]
    hidden = data["hiddenColumns"]["explore"]
    assert {"tasks:data.split", "tasks:data.relook_seen", "tasks:data.relook_flag"} <= set(hidden)
    shown = {"reason", "kind", "priority"}
    assert not shown & {column.rsplit("_", 1)[-1] for column in hidden}
    assert "tasks:data.relook_reason" not in data["hiddenColumns"]["labeling"]


def test_what_was_reviewed_last_is_on_top_with_its_verdict():
    data = tab_data(review_tabs("Queue", ())[-1], "relook", ["image"])
    assert data["ordering"] == ["-tasks:updated_at"]
    assert data["filters"]["conjunction"] == "or"
    hidden = data["hiddenColumns"]["explore"]
    assert not {"tasks:updated_at", "tasks:data.relook_flag"} & set(hidden)
