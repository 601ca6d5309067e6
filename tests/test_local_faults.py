"""What goes wrong on one machine, by its number: one sentence, the right exit code, and a re-run that completes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from conftest import SMALL, Checkout
from pipeline.processes import marked

pytestmark = pytest.mark.slow

SAVED = ("--set", "training.model=linear", "--set", "data.dataset=digits", "--set", "training.checkpoint_every=100")
LONG = ("--set", "training.steps=200000", *SAVED)


def started(checkout: Checkout, *words: str) -> subprocess.Popen[str]:
    """Start `invoke train` and wait until it has saved its first checkpoint."""
    run = checkout.start("train", *words)
    deadline = time.monotonic() + 60
    while not list(checkout.build.glob("bucket/*/checkpoint-*.npz")):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return run


def last_step(checkout: Checkout) -> int:
    names = [path.name for path in checkout.build.glob("bucket/*/checkpoint-*.npz")]
    return max(int(re.search(r"\d{8}", name)[0]) for name in names)  # type: ignore[index]


def test_fault_26_a_training_that_ctrl_c_ends_saves_leaves_no_process_and_goes_on(checkout: Checkout) -> None:
    ended_by(signal.SIGINT, 130, checkout)


def test_fault_27_a_training_that_sigterm_ends_saves_leaves_no_process_and_goes_on(checkout: Checkout) -> None:
    ended_by(signal.SIGTERM, 143, checkout)


def ended_by(number: int, code: int, checkout: Checkout) -> None:
    """End `invoke train` with a signal, and start it again."""
    run = started(checkout, *LONG)
    run.send_signal(number)
    said = run.communicate(timeout=60)[0]
    assert run.returncode == code, said
    assert "Traceback" not in said
    assert marked(checkout.build) == []
    saved = last_step(checkout)
    run = checkout.start("train", *LONG)
    assert run.stdout
    resumed = next(line for line in run.stdout if "go on with version" in line or "make version" in line)
    assert "go on with version" in resumed
    step = next(int(found[1]) for line in run.stdout if (found := re.search(r"step = (\d+)/", line)))
    assert step > saved
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)


def test_fault_28_a_killed_trainer_is_started_again_from_its_checkpoint_by_its_policy(
    checkout: Checkout,
) -> None:
    run = started(checkout, "--set", "training.steps=4000", *SAVED)
    (trainer,) = (one for one in marked(checkout.build) if "trainer" in " ".join(one.cmdline()))
    trainer.kill()
    said = run.communicate(timeout=150)[0]
    assert run.returncode == 0, said
    assert "ended with 137; restart 1 of 3" in said
    card = json.loads(checkout.invoke("models", "--json"))[0]
    assert card["steps"] == 4000
    assert card["resumed_from"] >= 100


def test_fault_37_a_run_after_a_failure_at_any_stage_completes_without_doing_the_rest_again(
    checkout: Checkout,
) -> None:
    with socket.create_server(("127.0.0.1", checkout.ui)):
        said = checkout.invoke("all", *SMALL, code=2)
    assert f"port {checkout.ui} of web-ui is taken by" in said
    assert "--set web_ui.port=" in said
    assert re.search(r"go on with: invoke .*ui$", said, re.MULTILINE)
    again = checkout.invoke("all", *SMALL)
    done = {line.split()[0]: line for line in again.splitlines() if re.match(r"(deploy|train|serve|ui) ", line)}
    assert ["unchanged" in done[stage] for stage in ("deploy", "train", "serve", "ui")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_process_that_dies_at_its_start_is_named_with_its_last_words(trained: Checkout) -> None:
    (trained.root / "serving" / "__main__.py").write_text("raise SystemExit('no flag was to its liking')\n")
    said = trained.invoke("serve", *SMALL, code=1)
    assert "mnist-serving died at its start" in said
    assert "no flag was to its liking" in said


def test_fault_40_a_changed_setting_makes_a_new_version_and_the_old_tag_is_refused(
    checkout: Checkout,
) -> None:
    run = started(checkout, *LONG)
    run.kill()
    run.communicate()
    (tag,) = (path.name for path in (checkout.build / "bucket").iterdir() if path.name.isdigit())
    said = checkout.invoke("train", "--tag", tag, "--set", "training.steps=60", *SAVED, code=2)
    assert "that run was begun with other inputs (training.steps 200000 → 60)" in said
    made = checkout.invoke("train", *SMALL)
    assert f"version {tag}" not in made
    assert int(json.loads(checkout.invoke("models", "--json"))[0]["tag"]) > int(tag)


def test_fault_35_a_version_from_the_far_future_stops_the_next_training(checkout: Checkout) -> None:
    checkout.invoke("deploy")
    (checkout.build / "bucket" / "export" / str(int(time.time()) + 400_000)).mkdir(parents=True)
    assert "days ahead of this machine's clock" in checkout.invoke("train", *SMALL, code=2)


def test_fault_35_a_clock_that_went_back_a_little_makes_the_next_number(checkout: Checkout) -> None:
    checkout.invoke("deploy")
    ahead = int(time.time()) + 4000
    (checkout.build / "bucket" / "export" / str(ahead)).mkdir(parents=True)
    assert f"make version {ahead + 1}" in checkout.invoke(
        "--dry", "train", *SMALL
    ) or f"make version {ahead + 1}" in checkout.invoke("train", *SMALL)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to make a home that root cannot write")
def test_fault_38_a_read_only_home_and_a_full_tmpdir_do_not_stop_the_work(checkout: Checkout, tmp_path: Path) -> None:
    home, tmp = tmp_path / "home", tmp_path / "full"
    home.mkdir()
    tmp.mkdir()
    full = f"mount -t tmpfs -o size=16k tmpfs {tmp} && head -c 16384 /dev/zero > {tmp}/full"
    prepare = f"{full}; mount -t tmpfs -o ro tmpfs {home}"
    if subprocess.run(["unshare", "-m", "sh", "-c", prepare], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    command = " ".join(f"'{word}'" for word in checkout.argv("deploy", "train", "serve", *SMALL))
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{{ {prepare}; }} 2>/dev/null; exec {command}"], cwd=checkout.root,
        capture_output=True, text=True, timeout=120, check=False, env=checkout.env(HOME=str(home), TMPDIR=str(tmp)),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_clean_after_a_train_without_a_deploy_leaves_nothing(checkout: Checkout) -> None:
    checkout.invoke("train", *SMALL)
    assert "deleted, with 1 versions" in checkout.invoke("clean")
    assert not (checkout.root / "build").exists()


def test_a_damaged_newest_version_is_made_anew(trained: Checkout) -> None:
    (model,) = trained.build.glob("bucket/export/*/saved_model.pb")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert json.loads(trained.invoke("models", "--json")) == []
    trained.invoke("train", "serve", *SMALL)
    (card,) = json.loads(trained.invoke("models", "--json"))
    assert card["tag"] != model.parent.name
    assert card["served"] == "AVAILABLE"


def test_clean_leaves_alone_what_it_did_not_make(checkout: Checkout, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("ten years")
    bucket = ("--set", f"storage.bucket={mine}")
    checkout.invoke("deploy", *bucket)
    assert "left alone: it was there before us" in checkout.invoke("clean", *bucket)
    assert (mine / "thesis.txt").read_text() == "ten years"


def test_a_damaged_record_of_a_run_is_not_taken_for_an_equal_one(trained: Checkout) -> None:
    (record,) = (trained.build / "bucket").glob("*/run.json")
    record.write_text("{")
    assert "make version" in trained.invoke("train", *SMALL)


def test_fault_3_a_cloud_without_a_project_says_where_to_write_it(checkout: Checkout) -> None:
    for task in ("deploy", "plan", "clean"):
        said = checkout.invoke("--env=staging", task, code=2)
        assert re.search(r'config/staging\.yaml:\d+ gcp\.project: still "your-project-id"', said), said
    assert not (checkout.root / "build").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("logs", "kitchen"), 'there is no component "kitchen": known are train'),
        (("open", "kitchen"), 'there is no page "kitchen": known are ui, tensorboard'),
        (("open",), "ui is not up in local: `invoke ui` starts it"),
        (("render", "kitchen"), 'there is no component "kitchen": known are train'),
        (("predict",), "`invoke train` makes one"),
        (("serve",), "`invoke train` makes one"),
        (("train", "--tag", "yesterday"), "a tag is a Unix time"),
        (("logs", "train"), "no training has run here"),
    ],
)
def test_a_mistake_in_what_was_asked_is_one_sentence_and_exit_2(
    words: tuple[str, ...], sentence: str, checkout: Checkout
) -> None:
    assert sentence in checkout.invoke(*words, code=2)


def test_a_checkout_that_cannot_be_written_is_one_sentence(checkout: Checkout) -> None:
    (checkout.root / "build").write_text("a file where a folder should be")
    assert checkout.invoke("deploy", code=1).strip() == f"{checkout.root / 'build'}: File exists"


def test_no_secret_of_the_callers_environment_reaches_a_process_log_or_manifest(checkout: Checkout) -> None:
    canary = "canary-5f1c9a"
    checkout.invoke("train", "serve", *SMALL, GOOGLE_APPLICATION_CREDENTIALS=f"/{canary}", AWS_SECRET_ACCESS_KEY=canary)
    for process in marked(checkout.build):
        assert canary not in " ".join([*process.cmdline(), *process.environ().values()])
    for path in checkout.build.rglob("*"):
        if stat.S_ISREG(path.lstat().st_mode):
            assert canary.encode() not in path.read_bytes(), path


def test_nothing_of_the_suite_is_left_running_by_a_clean(trained: Checkout) -> None:
    before = {process.pid for process in psutil.process_iter()}
    trained.invoke("train", "serve", "ui", *SMALL)
    trained.invoke("clean")
    new = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]) if one.pid not in before]
    assert not [words for words in new if str(trained.root) in " ".join(words)]
