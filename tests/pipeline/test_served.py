"""What the model server is told to serve, and the way from one state to another."""

from __future__ import annotations

from pipeline.served import Served, moves, only, read, spoken, summary, text

BASE = "gs://bucket/export"


def test_a_server_that_serves_nothing_yet_gets_the_version_at_once() -> None:
    assert moves(None, "200") == (Served(("200",), {"stable": "200"}),)


def test_a_server_that_is_there_already_goes_nowhere() -> None:
    assert moves(only("200"), "200") == (only("200"),)


def test_a_version_is_loaded_beside_the_old_one_before_the_label_moves() -> None:
    assert moves(only("100"), "200") == (Served(("100", "200"), {"stable": "100"}), only("200"))


def test_back_to_an_older_version_it_is_the_same_way() -> None:
    assert moves(only("200"), "100") == (Served(("100", "200"), {"stable": "200"}), only("100"))


def test_after_a_killed_promotion_the_same_one_goes_on_where_it_was() -> None:
    beside = Served(("100", "200"), {"stable": "100"})
    assert moves(beside, "200") == (beside, only("200"))


def test_after_a_killed_promotion_another_one_lets_go_of_the_first() -> None:
    assert moves(Served(("100", "200"), {"stable": "100"}), "300") == (
        Served(("100", "300"), {"stable": "100"}),
        only("300"),
    )


def test_a_version_that_is_yet_to_be_made_can_be_planned_for() -> None:
    assert moves(only("100"), "<tag>") == (Served(("100", "<tag>"), {"stable": "100"}), only("<tag>"))


def test_what_is_written_is_read_back() -> None:
    for state in (only("200"), Served(("100", "200"), {"stable": "100", "canary": "200"})):
        assert read(text("mnist", BASE, state)) == state


def test_a_text_that_names_no_versions_says_nothing() -> None:
    assert read("") is None
    assert read("model_config_list { config { name: 'mnist' } }") is None


def test_a_folder_with_a_quote_in_its_name_stays_inside_its_quotes() -> None:
    assert r'base_path: "/a\"b\\c"' in text("mnist", '/a"b\\c', only("1"))


def test_a_state_is_told_in_words_and_in_one_word() -> None:
    beside = Served(("100", "200"), {"stable": "100"})
    assert spoken(beside) == "100 beside 200, of which 100 is stable"
    assert spoken(only("200")) == "200: 200 is stable"
    assert summary(beside) == "100+200,stable=100"
