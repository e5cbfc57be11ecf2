"""The points of the review page in Plotly (scattergl), as plotly.py would send them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

__all__ = ["SCRIPT", "serving_plotly"]

_FOUND = Path(".venv-peers").glob("lib/python3*/site-packages/plotly/package_data/plotly.min.js")
#: Plotly's JavaScript, None before ``make bench`` has installed it.
SCRIPT = next(_FOUND, None)

#: One trace a label, so that there is a legend; no axes, as in Relook. ``gl.readPixels`` returns
#: when all is drawn, which WebGL else does some time after it was asked to.
_PAGE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<div id="plot" style="width:%(width)dpx;height:%(height)dpx"></div>
<script src="plotly.min.js"></script>
<script>
const plot = document.querySelector('#plot');
window.finish = () => {
  for (const canvas of plot.querySelectorAll('canvas')) {
    const gl = canvas.getContext('webgl');
    gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
};
const bare = { visible: false };
const layout = { dragmode: 'pan', margin: { l: 0, r: 0, t: 0, b: 0 }, xaxis: bare, yaxis: bare };
fetch('points.json').then((answer) => answer.json())
  .then((traces) => Plotly.newPlot(plot, traces, layout))
  .then(() => { finish(); plot.dataset.drawn = '1'; });
</script>"""


@contextmanager
def serving_plotly(points: bytes, size: tuple[int, int]) -> Iterator[tuple[str, int]]:
    """Serve a page that shows points, an Arrow stream, on so many pixels.

    Yields:
        its address, and how many bytes the points are.
    """
    assert SCRIPT, "Plotly is not installed: run make bench"
    table = pa.ipc.open_stream(points).read_all()
    label = table["label"].combine_chunks().indices.to_numpy()
    place = {name: table[name].to_numpy() for name in ("x", "y")}
    traces = [
        {
            **{"type": "scattergl", "mode": "markers", "name": str(one), "marker": {"size": 2}},
            **{name: _coded(values[label == one]) for name, values in place.items()},
        }
        for one in np.unique(label)
    ]
    with TemporaryDirectory() as folder:
        files = {
            "index.html": (_PAGE % {"width": size[0], "height": size[1]}).encode(),
            "plotly.min.js": SCRIPT.read_bytes(),
            "points.json": json.dumps(traces).encode(),
        }
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", len(files["points.json"])
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *said: object) -> None:
        pass


def _coded(values: np.ndarray) -> dict[str, str]:
    """A typed array as plotly.py writes it into JSON."""
    return {"dtype": "f4", "bdata": base64.b64encode(values.tobytes()).decode()}
