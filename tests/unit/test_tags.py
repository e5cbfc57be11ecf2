"""Tags as one field that people can read."""

import pytest

from ml_backend.errors import SettingsError
from ml_backend.jobs.acting.field_changes import FIELD_CHANGES, Refused
from ml_backend.labelstudio.tasks.tags import check_tag, join_tags, split_tags


def test_tags_of_tasks_and_regions_share_a_field():
    text = join_tags(["late", "blurred", "late"], {(12, "aB-3_x"): ["twin"]})
    assert text == "blurred, late, twin@12:aB-3_x"
    assert split_tags(text) == (["blurred", "late"], {(12, "aB-3_x"): ["twin"]})
    assert split_tags("") == ([], {})
    assert split_tags("mail@home") == (["mail@home"], {})


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "a@b", "a\nb", "x" * 51])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(SettingsError, match="must have 1 to 50 characters"):
        check_tag(tag)
    assert check_tag(" in review ") == "in review"


def test_a_tag_is_set_once_and_taken_away():
    tag, untag = FIELD_CHANGES["tag"], FIELD_CHANGES["untag"]
    assert tag({}, "late", []) == {"tags": "late"}
    assert tag({"tags": "late"}, "late", []) == Refused("has the tag already")
    assert tag({"tags": "late"}, "twin", [(3, "r")]) == {"tags": "late, twin@3:r"}
    assert untag({"tags": "late, twin@3:r"}, "late", []) == {"tags": "twin@3:r"}
    assert untag({"tags": "late, twin@3:r"}, "twin", [(3, "r")]) == {"tags": "late"}
    assert untag({"tags": "late"}, "twin", []) == Refused("does not have the tag")
