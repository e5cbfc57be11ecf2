import numpy as np
import pytest

from ml_backend.errors import ConfigError
from ml_backend.labelstudio.config import parse_config
from ml_backend.prediction.inputs import TaskInputs

IMAGE = '<Image name="image" value="$image"/>'


def config(inside: str) -> str:
    return f"<View>{IMAGE}{inside}</View>"


BOXES = (
    '<RectangleLabels name="label" toName="image" model_score_threshold="0.3" '
    'model_path="cars.pt"><Label value="Car" predicted_values="jeep, Cab"/>'
    '<Label value="Person"/></RectangleLabels>'
)


def test_reads_controls_labels_and_attributes():
    (control,) = parse_config(config(BOXES)).controls
    assert (control.tag, control.name, control.to_name) == ("RectangleLabels", "label", "image")
    assert control.data_key == "image"
    assert control.labels == ("Car", "Person")
    assert control.model_path == "cars.pt"
    assert control.score_threshold == 0.3


def test_classes_map_by_predicted_values_then_name_then_any_case():
    (control,) = parse_config(config(BOXES)).controls
    mapped = control.label_map(["jeep", "cab", "Person", "person", "PERSON", "dog"])
    np.testing.assert_array_equal(mapped, [0, 0, 1, 1, 1, -1])


def test_exact_name_wins_over_other_case():
    xml = config(
        '<Choices name="c" toName="image"><Choice value="A"/><Choice value="a"/></Choices>'
    )
    np.testing.assert_array_equal(parse_config(xml).controls[0].label_map(["a", "A"]), [1, 0])


def test_unmapped_classes_name_the_closest_label():
    (control,) = parse_config(config(BOXES)).controls
    assert control.unmapped(["persons", "zzz", "jeep"]) == [
        "'persons' (closest label: 'Person')",
        "'zzz'",
    ]


@pytest.mark.parametrize("said", ["true", "TRUE", "1"])
def test_model_skip_leaves_a_tag_alone(said):
    xml = config(
        BOXES.replace("<RectangleLabels ", f'<RectangleLabels model_skip="{said}" ')
        + ('<Choices name="c" toName="image"><Choice value="A"/></Choices>')
    )
    parsed = parse_config(xml)
    assert [control.name for control in parsed.controls] == ["c"]
    assert parsed.skipped == ("label",)


@pytest.mark.parametrize("said", ["false", "False", "0", ""])
def test_a_tag_that_is_not_to_be_skipped_is_served(said):
    xml = config(BOXES.replace("<RectangleLabels ", f'<RectangleLabels model_skip="{said}" '))
    assert parse_config(xml).skipped == ()


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<View>", "not valid XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>', "not valid XML"),
        (config('<TextArea name="t" toName="image"/>'), "no control tag that Relook serves"),
        (config(BOXES.replace('toName="image"', 'toName="picture"')), "toName is 'picture'"),
        (config(BOXES.replace("0.3", "3")), "model_score_threshold='3'; allowed is 0 to 1"),
        (config(BOXES.replace("0.3", "high")), "model_score_threshold='high'"),
        *(
            (
                config(BOXES.replace("<RectangleLabels", f'<RectangleLabels model_skip="{said}"')),
                f"<RectangleLabels name='label'> has model_skip='{said}'; allowed is true or false",
            )
            for said in ("yes", "True ", "2")
        ),
        (config('<RectangleLabels name="a" toName="image"/>'), "has no <Label"),
        (
            config(
                '<KeyPointLabels name="k" toName="image"><Label value="Nose" model_index="a"/>'
                "</KeyPointLabels>"
            ),
            "model_index='a' on label 'Nose'",
        ),
        (f"<View>{IMAGE.replace('$image', 'image')}{BOXES}</View>", "Write it as $key"),
        (
            config('<Choices name="c" toName="image" choice="many"><Choice value="A"/></Choices>'),
            "choice='many'; allowed is single, single-radio, multiple",
        ),
    ],
)
def test_bad_configs_are_refused_by_name(xml, said):
    with pytest.raises(ConfigError) as error:
        parse_config(xml)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "other",
    [
        '<Audio name="t" value="$t"/><Choices name="c" toName="t"><Choice value="A"/></Choices>',
        '<HyperText name="t" value="$t"/><Labels name="c" toName="t"><Label value="A"/></Labels>',
        '<Choices name="c" toName="image" perRegion="true"><Choice value="A"/></Choices>',
    ],
    ids=["of sound", "of marked-up text", "of a region"],
)
def test_tags_of_other_things_are_left_to_people(other):
    assert [control.name for control in parse_config(config(BOXES + other)).controls] == ["label"]
    with pytest.raises(ConfigError, match="no control tag that Relook serves"):
        parse_config(config(other))


def test_an_alias_is_what_regions_store():
    xml = config(
        '<Choices name="c" toName="image"><Choice value="Car" alias="v1"/>'
        '<Choice value="Van"/></Choices>'
    )
    (control,) = parse_config(xml).controls
    assert control.labels == ("v1", "Van")
    np.testing.assert_array_equal(control.label_map(["car", "v1", "van"]), [0, 0, 1])


def test_texts_are_read_as_they_stand_or_by_their_address():
    xml = (
        '<View><Text name="t" value="$body"/><Text name="u" value="$link" valueType="url"/>'
        '<Labels name="l" toName="t"><Label value="Name"/></Labels>'
        '<Choices name="c" toName="u" choice="multiple"><Choice value="A"/></Choices></View>'
    )
    spans, choices = parse_config(xml).controls
    assert (spans.geometry, spans.reads, spans.by_url, spans.data_key) == (
        *("span", "text", False, "body"),
    )
    assert (choices.geometry, choices.reads, choices.by_url, choices.multiple) == (
        *("choice", "text", True, True),
    )


def test_key_points_map_by_the_number_the_model_gives_them():
    xml = config(
        '<KeyPointLabels name="k" toName="image"><Label value="Left" model_index="5"/>'
        '<Label value="Nose" model_index="0"/></KeyPointLabels>'
    )
    (control,) = parse_config(xml).controls
    assert control.geometry == "point"
    np.testing.assert_array_equal(control.label_map(["0", "1", "5"]), [1, -1, 0])


def test_only_choices_hold_several_at_once():
    # Label Studio takes the attribute on regions too: there it says how many labels one carries.
    (control,) = parse_config(
        config(BOXES.replace('name="label"', 'name="label" choice="multiple"'))
    ).controls
    assert not control.multiple


NESTED = "<Image name='i' value='{}'/>" + BOXES.replace('name="label"', "name='{}'").replace(
    'toName="image"', "toName='i'"
)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ('<Choices name="c" toName="image" value="$opts"/>', "its labels stand in the tasks"),
        (NESTED.format("$imgs", "c").replace("value=", "valueList=", 1), "several images at once"),
        (NESTED.format("$images[{{idx}}].url", "c_{{idx}}"), "a Repeater makes many of it"),
        (NESTED.format("$images[{{idx}}].url", "c"), "names no single key of the task's data"),
        (NESTED.format("$a - $b", "c"), "names no single key of the task's data"),
        (NESTED.format("https://x/$a", "c"), "names no single key of the task's data"),
    ],
)
def test_what_cannot_be_served_is_left_to_people_and_named(other, why):
    parsed = parse_config(config(BOXES + other))
    assert [control.name for control in parsed.controls] == ["label"]
    ((name, said),) = parsed.left
    assert name[0] == "c"
    assert "is left to people" in said
    assert why in said
    with pytest.raises(ConfigError, match="no control tag that Relook serves") as error:
        parse_config(config(other))
    assert said in str(error.value)


def test_labels_that_stand_beside_a_tasks_own_are_served():
    xml = config('<Choices name="c" toName="image" value="$opts"><Choice value="A"/></Choices>')
    assert parse_config(xml).controls[0].labels == ("A",)


def test_a_key_within_a_key_is_served():
    (control,) = parse_config(f"<View>{NESTED.format('$page.url', 'c')}</View>").controls
    assert control.data_key == "page.url"
    data = [{"page": {"url": "a"}}, {"page.url": "b"}, {"page": "c"}, {"page": {"url": 1}}, {}]
    inputs = TaskInputs(np.arange(len(data)), [{"data": one} for one in data])
    assert inputs.values("page.url") == ["a", "b", "", "", ""]
