"""Loading TensorFlow: without its noise, and without the garbage collector's."""

from __future__ import annotations

import subprocess
import sys

from .conftest import ROOT

PROGRAM = """
import gc
from trainer.quiet import load_tensorflow
load_tensorflow()
print(sum(one["collections"] for one in gc.get_stats()), gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def test_no_garbage_is_collected_while_tensorflow_is_loaded_and_nothing_of_it_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    collections, collecting, frozen = done.stdout.split()
    assert int(collections) < 100
    assert (collecting, frozen, done.stderr) == ("True", "True", "")
