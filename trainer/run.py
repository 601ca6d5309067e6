"""One run from start to end: which version, which data, which folder; session.py does the work between."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trainer import cluster, data, export, files
from trainer.clock import Clock
from trainer.cluster import Member
from trainer.errors import TrainerError, UsageError
from trainer.log import say
from trainer.options import Options
from trainer.quiet import load_tensorflow, use_one_thread
from trainer.signals import Signals


def execute(options: Options, environ: Mapping[str, str], signals: Signals) -> None:
    """Do what this member of the training is there for, as TF_CONFIG says; without it, all of it."""
    member = cluster.read(environ.get("TF_CONFIG", ""))
    if options.model_type != "cnn":
        use_one_thread()
    if member.role == "evaluator":
        _evaluate(options, environ)
    elif member.role == "chief":
        _lead(options, environ, signals, member)
    elif member.layout == "servers":
        _serve(member, signals)
    else:
        _follow(options, environ, signals, member)


def _lead(options: Options, environ: Mapping[str, str], signals: Signals, member: Member) -> None:
    """Train, evaluate and export as the options say; nothing at all if that very version is there."""
    clock = Clock()
    tag = 0 if options.validation_share else _choose_tag(options)  # a trial exports nothing
    if tag is None:
        return
    with clock.timed("import_s"):
        load_tensorflow(start=member.layout == "lone")
        from trainer import validation  # imports TensorFlow
        from trainer.session import Session  # imports all of Keras
    with clock.timed("data_s"):
        dataset = validation.held_out(data.load(options, environ.get("MNIST_DIR")), options.validation_share)
    with _model_dir(options) as folder:
        session = Session(options, dataset, folder, clock, member)
        session.train(signals)
        if options.validation_share:
            session.validate()
        else:
            session.publish(tag)
    say(f"Done in {clock.total():.1f} s")


def _follow(options: Options, environ: Mapping[str, str], signals: Signals, member: Member) -> None:
    """Take part in every step as a worker; nothing is written."""
    load_tensorflow(start=False)
    from trainer import validation
    from trainer.session import Session

    dataset = validation.held_out(data.load(options, environ.get("MNIST_DIR")), options.validation_share)
    session = Session(options, dataset, "", Clock(), member)
    session.train(signals)
    say(f"Done as {member.name}; the chief evaluates and exports.")


def _serve(member: Member, signals: Signals) -> None:
    load_tensorflow(start=False)
    from trainer.servers import serve

    serve(member, signals)


def _evaluate(options: Options, environ: Mapping[str, str]) -> None:
    if options.model_dir is None:
        raise UsageError("--tf-model-dir: the evaluator reads the chief's checkpoints; give both the same folder.")
    load_tensorflow()
    from trainer.evaluator import follow

    follow(options, data.load(options, environ.get("MNIST_DIR")).test, options.model_dir)


def _choose_tag(options: Options) -> int | None:
    """Give the tag of this run, or None where that version is published and nothing is left to do."""
    now, base = int(time.time()), options.export_dir
    files.make_folder(base)
    if options.version_tag is None:
        return export.next_tag(base, now)
    try:
        export.refuse_far_future(options.version_tag, now, f"--tf-version-tag is {options.version_tag}")
    except TrainerError as error:
        raise UsageError(str(error)) from None
    if not export.is_published(base, options.version_tag):
        return options.version_tag
    say(f"Version {options.version_tag} is published in {base} already, and whole; nothing to do.")
    return None


@contextmanager
def _model_dir(options: Options) -> Iterator[str]:
    """Give the folder of the checkpoints; one that nobody asked for goes away, but not after a signal."""
    if options.model_dir:
        files.make_folder(options.model_dir)
        yield options.model_dir
        return
    with files.saying("make a temporary folder for checkpoints"):
        folder = tempfile.mkdtemp(prefix="trainer-")
    try:
        yield folder
    except TrainerError:
        files.remove(folder)
        raise
    files.remove(folder)
