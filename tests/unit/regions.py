"""Controls and regions that the tests of the codec share."""

from ml_backend.labelstudio.config import parse_config

IMAGE = parse_config(
    '<View><Image name="image" value="$image"/>'
    + "".join(
        f'<{tag} name="{tag}" toName="image"><Label value="a"/><Label value="b"/></{tag}>'
        for tag in ("RectangleLabels", "PolygonLabels", "BrushLabels", "KeyPointLabels")
    )
    + '<Choices name="one" toName="image"><Choice value="x"/><Choice value="y"/></Choices>'
    '<Choices name="many" toName="image" choice="multiple">'
    '<Choice value="x"/><Choice value="y"/></Choices></View>'
).controls
BOX, POLYGON, MASK, POINT, ONE, MANY = IMAGE
(SPAN,) = parse_config(
    '<View><Text name="text" value="$text"/><Labels name="Labels" toName="text">'
    '<Label value="a"/><Label value="b"/></Labels></View>'
).controls


def region(control, label="a", value=None, **more):
    """One region as Label Studio keeps it; ``value`` without its labels."""
    labels = label if isinstance(label, list) else [label]
    return {
        "id": "r1",
        "from_name": control.name,
        "to_name": control.to_name,
        "type": control.kind,
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": {**(value or {}), control.kind: labels},
    } | more


def box(label="a", **value):
    whole = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0}
    return region(BOX, label, whole | value)
