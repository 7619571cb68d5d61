"""Entities and sentences: what is named, and where a sentence ends."""

import pytest

from memory.consolidation.entities import entities
from memory.consolidation.sentences import SENTENCE_LEN_MAX, SENTENCES_MAX, sentences


class TestEntities:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("The deploy failed on db-2 with TimeoutError.", {"db-2", "timeouterror"}),
            ("We met Maria Lopez in Berlin.", {"maria lopez", "berlin"}),
            ("Yesterday nothing happened.", set()),
            ("set `pool_size` in /etc/app/db.conf", {"pool_size", "/etc/app/db.conf"}),
            ("memory.search of v1.2.3 and JetStream, see #42", {"memory.search", "v1.2.3", "jetstream", "#42"}),
            ("nothing named here at all", set()),
        ],
    )
    def test_names_ids_quotes_and_errors(self, text: str, named: set[str]) -> None:
        assert set(entities(text)) == named


class TestSentences:
    def test_they_end_at_marks_and_lines_and_stand_word_for_word(self) -> None:
        text = 'It failed at 3.5 s. "Again?" he asked.\n- first: stop\n2. start it\n\nDone'
        assert sentences(text) == ["It failed at 3.5 s.", '"Again?" he asked.', "first: stop", "start it", "Done"]

    def test_long_ones_are_cut_and_many_are_not_all_looked_at(self) -> None:
        long = sentences("word " * 1_000)
        assert all(len(sentence) <= SENTENCE_LEN_MAX for sentence in long)
        assert " ".join(long) == ("word " * 1_000).strip()
        assert len(sentences("A sentence. " * 1_000)) == SENTENCES_MAX
        assert sentences("x" * 1_000)[0] == "x" * SENTENCE_LEN_MAX
