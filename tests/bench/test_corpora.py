"""The loaders of the corpora that are not kept here, on conversations made up in their formats."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.corpora import beam, locomo


def written(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(content))
    return file


class TestLocomo:
    def test_a_turn_is_a_document_and_evidence_names_turns(self, tmp_path: Path) -> None:
        turns = [
            {"speaker": "Ada", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a red kite"},
            {"speaker": "Ben", "dia_id": "D2:2", "text": "Nice."},
        ]
        questions = [
            {"question": "What flew?", "evidence": ["D2:01; D2:2"], "category": 4},
            {"question": "Who fell?", "evidence": ["D2:2", "D9:9", "D"], "category": 5},
            {"question": "Why?", "evidence": [], "category": 1},
        ]
        conversation = {"speaker_a": "Ada", "session_2_date_time": "1:56 pm on 8 May, 2023", "session_2": turns, "session_1_date_time": "x"}
        sample = {"sample_id": "conv-1", "conversation": conversation, "qa": questions}
        corpus = locomo.load(written(tmp_path / "file.json", [sample]))
        (only,) = corpus.conversations
        assert [d.ident for d in only.documents] == ["conv-1/D2:1", "conv-1/D2:2"]
        assert only.documents[0].shown == "Ada: Look! [image: a red kite]"
        assert only.documents[1].moment == datetime(2023, 5, 8, 13, 56, 1, tzinfo=UTC)
        assert [(q.text, sorted(q.gold), q.headline) for q in only.questions] == [
            ("What flew?", ["conv-1/D2:1", "conv-1/D2:2"], True),
            ("Who fell?", ["conv-1/D2:2"], False),
        ]


class TestBeam:
    def test_a_message_is_a_document_and_the_cut_chat_is_the_one(self, tmp_path: Path) -> None:
        said = [
            {"role": "user", "id": 0, "content": "I sail on Mondays. ->-> 1,1"},
            {"role": "assistant", "id": 1, "content": "Noted."},
        ]
        batch = {"batch_number": 1, "time_anchor": "March-15-2024", "turns": [said]}
        written(tmp_path / "7" / "chat.json", [batch, batch])
        written(tmp_path / "7" / "chat_trunecated.json", [batch])
        questions = {
            "abstention": [{"question": "Who rows?"}],
            "knowledge_update": [{"question": "When do I sail?", "source_chat_ids": {"first": [0], "later": [1, 99]}}],
        }
        written(tmp_path / "7" / "probing_questions" / "probing_questions.json", questions)
        (only,) = beam.load(tmp_path).conversations
        assert [(d.ident, d.shown) for d in only.documents] == [("beam-7/0", "user: I sail on Mondays."), ("beam-7/1", "assistant: Noted.")]
        assert only.documents[1].moment == datetime(2024, 3, 15, 0, 1, tzinfo=UTC)
        assert [(q.kind, sorted(q.gold)) for q in only.questions] == [("knowledge update", ["beam-7/0", "beam-7/1"])]
