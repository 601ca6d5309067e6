"""The web UI: a page that shows test images to a served model and what the model says they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webui.page import Predicts
    from webui.settings import Settings


def create_app(predictor: Predicts | None = None, settings: Settings | None = None) -> Flask:
    """Build the app; from the environment's variables unless `settings` are given. Raises SettingsError."""
    # Imported here, so that `python -m webui` can check flags and settings before it loads Flask and gRPC.
    from webui.app import build_app

    return build_app(predictor, settings)
