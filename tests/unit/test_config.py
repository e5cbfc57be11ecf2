import numpy as np
import pytest

from ml_backend.errors import ConfigError
from ml_backend.labelstudio.config import parse_config

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


def test_model_skip_leaves_a_tag_alone():
    xml = config(
        BOXES.replace("<RectangleLabels ", '<RectangleLabels model_skip="true" ')
        + ('<Choices name="c" toName="image"><Choice value="A"/></Choices>')
    )
    parsed = parse_config(xml)
    assert [control.name for control in parsed.controls] == ["c"]
    assert parsed.skipped == ("label",)


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<View>", "not valid XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>', "not valid XML"),
        (config('<TextArea name="t" toName="image"/>'), "no control tag that Relook serves"),
        (config(BOXES.replace('toName="image"', 'toName="picture"')), "toName is 'picture'"),
        (config(BOXES.replace("0.3", "3")), "model_score_threshold='3'; allowed is 0 to 1"),
        (config(BOXES.replace("0.3", "high")), "model_score_threshold='high'"),
        (config('<RectangleLabels name="a" toName="image"/>'), "has no <Label"),
        (f"<View>{IMAGE.replace('$image', 'image')}{BOXES}</View>", "Write it as $key"),
        (
            config(
                '<Choices name="c" toName="image" choice="multiple"><Choice value="A"/></Choices>'
            ),
            "choice='multiple'",
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
        '<Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="A"/></Choices>',
        '<Choices name="c" toName="image" perRegion="true"><Choice value="A"/></Choices>',
    ],
    ids=["of text", "of a region"],
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


def test_digest_changes_with_the_config():
    assert parse_config(config(BOXES)).digest != parse_config(config(BOXES + " ")).digest
