"""What a version holds beside its checksums: the SavedModel, its LiteRT copy, test images, the model card."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainer import idx
from trainer.card import Facts, make_card
from trainer.clock import Clock
from trainer.data import Dataset
from trainer.litert import Copy

TEST_IMAGES = 500


@dataclass(frozen=True)
class Version:
    """A trained model about to be published; `save` writes the SavedModel into a folder, `copy` is for LiteRT."""

    save: Callable[[str], None]
    copy: Copy | None
    dataset: Dataset
    facts: Facts
    clock: Clock

    def fill(self, folder: Path, tag: int, parent: int | None) -> None:
        """Write the model, then the images, then the card; its durations end when the card is written."""
        with self.clock.timed("export_s"):
            self.save(str(folder))
            extra = folder / "assets.extra"
            extra.mkdir(exist_ok=True)
            write_test_images(extra / "test_images.zip", self.dataset)
            if self.copy:
                self.copy.write(extra)
        durations = self.clock.durations | {"total_s": self.clock.total()}
        card = make_card(self.facts, tag, parent, durations) | {"litert": self.copy and self.copy.entry()}
        (folder / "model_card.json").write_text(json.dumps(card, indent=1) + "\n")


def write_test_images(path: Path, dataset: Dataset) -> None:
    """Keep the first 500 test images and labels as idx files in a zip."""
    source = {"dataset": dataset.name, "stand_in": dataset.stand_in}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.idx", idx.encode(dataset.test.images[:TEST_IMAGES]))
        archive.writestr("labels.idx", idx.encode(dataset.test.labels[:TEST_IMAGES]))
        archive.writestr("source.json", json.dumps(source))
