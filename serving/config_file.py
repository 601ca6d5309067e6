"""Has the server do what --model_config_file says, also when it says something else later."""

from __future__ import annotations

import logging

from serving.configs import models_from_flags
from serving.errors import ServingError, StartError
from serving.flags import Flags
from serving.loader import Loader

log = logging.getLogger("serving")


class ConfigFile:
    """The models that the command line asks for, or the file that it names."""

    def __init__(self, flags: Flags, loader: Loader) -> None:
        """Tell the loader what to serve; StartError for a file that is none, or labels that cannot be given yet."""
        self._flags, self._loader, self._said = flags, loader, ""
        try:
            loader.configure(models_from_flags(flags), look=False)
        except ServingError as error:
            hint = "with --allow_version_labels_for_unavailable_models it waits for its version"
            raise StartError(f"{flags.model_config_file}: {error.message}; {hint}.") from error

    def look(self) -> None:
        """Serve what the file says now; where that cannot be, what is served stays, and the log says why, once."""
        try:
            models = models_from_flags(self._flags)
            if not self._loader.serves(models):
                self._loader.configure(models)
                log.info("%s: read anew", self._flags.model_config_file)
            self._said = ""
        except (StartError, ServingError) as error:
            message = str(error)
            if message != self._said:
                self._said = message
                log.warning("%s: %s; what is served stays", self._flags.model_config_file, message)
