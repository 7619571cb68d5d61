"""Further agents by files in a folder."""

from pathlib import Path

import pytest

from agents.profiles import ProfileError, load

SAGE = """{
  "name": "sage", "role": "reviewer", "primary_functions": ["debugging", "knowledge_synthesis"], "confidence_domains": ["review"],
  "communication_patterns": [], "mind": "precedent"
}"""


def folder(path: Path, **files: str) -> str:
    for name, text in files.items():
        (path / f"{name}.json").write_text(text)
    return str(path)


class TestLoad:
    def test_without_a_folder_there_are_the_three(self) -> None:
        assert sorted(load("")) == ["aria", "nexus", "ricardo"]

    def test_each_file_is_one_more_agent(self, tmp_path: Path) -> None:
        found = load(folder(tmp_path, sage=SAGE))
        assert sorted(found) == ["aria", "nexus", "ricardo", "sage"]
        assert found["sage"].announced(0.0).skill_names() == ["debugging", "knowledge_synthesis"]


class TestBadProfiles:
    @pytest.mark.parametrize(
        ("was", "becomes", "sentence"),
        [
            ('"mind"', "", "JSON is malformed"),
            ('"reviewer"', "7", "Expected `str`, got `int` - at `$.role`"),
            ('"role"', '"rolle"', "unknown field `rolle`"),
            ('"sage"', '"Sage 1"', "at `$.name`"),
            ("debugging", "juggling", "unknown skills juggling"),
            ("precedent", "whim", "unknown mind whim; there are"),
        ],
    )
    def test_the_file_is_named_and_what_is_wrong_with_it(self, was: str, becomes: str, sentence: str, tmp_path: Path) -> None:
        with pytest.raises(ProfileError) as e:
            load(folder(tmp_path, sage=SAGE.replace(was, becomes)))
        assert str(e.value).startswith(f"{tmp_path / 'sage.json'}: ")
        assert sentence in str(e.value)

    def test_two_with_one_name_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match=r"twin\.json: there is an agent sage already"):
            load(folder(tmp_path, sage=SAGE, twin=SAGE))

    def test_one_with_the_name_of_the_three_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match="there is an agent nexus already"):
            load(folder(tmp_path, other=SAGE.replace("sage", "nexus")))

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match="no folder with profiles is there"):
            load(str(tmp_path / "none"))
