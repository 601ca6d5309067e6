"""TF_CONFIG: who this process is, and what is said where it does not make sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.cluster import Member, read
from trainer.errors import UsageError

from .conftest import TrainerProcess

CHIEF, TWO = ["c:2222"], ["w0:2222", "w1:2222"]


def config(role: str = "chief", index: int = 0, **cluster: Any) -> str:
    task = {"type": role, "index": index}
    return json.dumps({"cluster": {"chief": CHIEF} | cluster, "task": task, "environment": "cloud"})


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {}}', '{"cluster": {"chief": ["a:1"]}}', config()])
def test_without_others_a_chief_is_alone(text: str) -> None:
    member = read(text)
    assert (member.role, member.layout, member.leads, member.in_step()) == ("chief", "lone", True, 1)
    assert member.counts() == {"chief": 1}


def test_workers_train_in_step_with_the_chief() -> None:
    chief, worker = read(config(worker=TWO)), read(config("worker", 1, worker=TWO))
    assert chief.layout == worker.layout == "synchronous"
    assert chief.in_step() == worker.in_step() == 3
    assert (chief.leads, worker.leads, worker.name, worker.address) == (True, False, "worker 1", ("w1", 2222))


def test_with_parameter_servers_no_step_is_shared() -> None:
    member = read(config("ps", worker=TWO, ps=["p:1"]))
    assert (member.layout, member.in_step(), member.name) == ("servers", 1, "ps 0")
    assert member.counts() == {"chief": 1, "worker": 2, "ps": 1}


def test_the_evaluator_is_no_part_of_the_cluster_that_trains() -> None:
    for role in ("chief", "evaluator"):
        member = read(config(role, evaluator=["e:1"]))
        assert (member.role, member.cluster, member.layout) == (role, {"chief": ("c:2222",)}, "lone")
    assert "evaluator" not in read(config(worker=TWO, evaluator=["e:1"])).cluster


def test_an_ipv6_address_loses_its_brackets() -> None:
    assert read(config("worker", worker=["[::1]:2222"])).address == ("::1", 2222)


REFUSED = {
    "{": "is not JSON of the form",
    "[]": "is not JSON of the form",
    "7": "is not JSON of the form",
    '{"cluster": 3}': "is not JSON of the form",
    config(master=["m:1"]): r"has the role 'master' in its cluster; there are chief, worker, ps, evaluator\.",
    config(worker=1): r'cluster\.worker is 1, not a list such as \["host:2222"\]\.',
    config(worker=["w"]): r"cluster\.worker has 'w', which is no address such as",
    config(worker=["w:70000"]): r"cluster\.worker has 'w:70000', which is no address",
    config(worker=[7]): r"cluster\.worker has 7, which is no address",
    config(chief=[], worker=TWO): r"has 0 of role chief; there is exactly one chief",
    config(chief=["a:1", "b:1"]): r"has 2 of role chief; there is exactly one chief, at most one evaluator\.",
    config(evaluator=["a:1", "b:1"]): r"has 2 of role evaluator",
    config(ps=["p:1"]): r"has parameter servers \(ps\) and no worker",
    config(worker=["c:2222"]): r"gives the address 'c:2222' to two members",
    config("worker", 2, worker=TWO): r"task is {'type': 'worker', 'index': 2}, which names no member",
    config("worker", -1, worker=TWO): "names no member of its cluster",
    config("ps", worker=TWO): "names no member of its cluster",
    json.dumps({"cluster": {"chief": CHIEF, "worker": TWO}}): "task is None, which names no member",
    json.dumps({"cluster": {"chief": CHIEF, "worker": TWO}, "task": "chief"}): "task is 'chief', which names no member",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^TF_CONFIG") as caught:
        read(text)
    assert caught.match(REFUSED[text])
    assert "\n" not in str(caught.value)


def test_a_bad_tf_config_exits_2_before_anything_is_written(trainer: TrainerProcess) -> None:
    said = trainer.run(code=2, TF_CONFIG=config(worker=["c:2222"]))
    assert said == "TF_CONFIG gives the address 'c:2222' to two members; each needs its own.\n"
    assert not trainer.bucket.exists()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
addresses = st.lists(st.sampled_from(["a:1", "b:2", "c:3", "d", "e:0"]) | json_values, max_size=3)
likely = st.fixed_dictionaries(
    {},
    optional={
        "cluster": st.dictionaries(
            st.sampled_from(["chief", "worker", "ps", "evaluator", "x"]), addresses | json_values
        ),
        "task": st.fixed_dictionaries(
            {}, optional={"type": st.sampled_from(["chief", "worker", "ps"]) | json_values, "index": json_values}
        )
        | json_values,
    },
)


@given(likely.map(json.dumps) | json_values.map(json.dumps) | st.text(max_size=40))
def test_no_text_whatever_causes_more_than_a_sentence(text: str) -> None:
    try:
        member = read(text)
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(member, Member)
        assert "evaluator" not in member.cluster
