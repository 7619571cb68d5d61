"""Prompts of strangers, as they are read."""

import pytest

from bus.errors import Refused
from bus.hosting import read_envelope


@pytest.mark.parametrize("content", ["Größe", "漢字", "a", "====", "\\u0000"])
def test_an_attachment_that_is_no_base64_is_refused_by_its_path(content: str) -> None:
    with pytest.raises(Refused) as refused:
        read_envelope(f'{{"prompt": "p", "attachments": [{{"filename": "f", "content": "{content}"}}]}}'.encode())
    assert [e.path for e in refused.value.problem().errors] == ["$.attachments[0].content"]
