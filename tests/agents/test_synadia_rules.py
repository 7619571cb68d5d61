"""The law of the door to the Synadia Agent Protocol: names, and what is said in each other's words."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.synadia import rules
from schemas.members import MembershipChange, Profile
from schemas.synadia import Endpoint, Envelope, Registration
from schemas.tasks import Artifact, AssignedTask, Finished, Progress, Result

TOKEN = re.compile(r"[a-z0-9_-]{1,63}")
NAMES = st.text(st.sampled_from("abAB09_-"), min_size=1, max_size=63)
PLAIN = {"agent": "pi", "owner": "mario", "session": "w-1"}


def registered(subject: str = "agents.prompt.pi.mario.w-1", version: str = "0.3", **more: str) -> Registration:
    offers = {"max_payload": "512KB", "attachments_ok": "true"}
    metadata = {"agent": "pi", "owner": "mario", "protocol_version": version, **more}
    return Registration(name="agents", id="X1", metadata=metadata, endpoints=[Endpoint(name="prompt", subject=subject, metadata=offers)])


class TestNames:
    def test_a_plain_name_is_joined(self) -> None:
        assert rules.member_name("claude-code", "ada", "w-1") == "claude-code_ada_w-1"

    @given(NAMES, NAMES, NAMES)
    def test_any_name_is_a_token(self, agent: str, owner: str, session: str) -> None:
        assert TOKEN.fullmatch(rules.member_name(agent, owner, session))

    @given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
    def test_two_agents_have_two_names(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
        assert (rules.member_name(*one) == rules.member_name(*other)) == (one == other)

    def test_names_that_would_be_joined_to_the_same_differ(self) -> None:
        assert rules.member_name("a", "b_c", "d") != rules.member_name("a", "b", "c_d")

    @given(st.text(min_size=1, max_size=80))
    def test_an_instance_may_be_logged(self, ident: str) -> None:
        change = MembershipChange(status="joined", instance=rules.instance_name(ident))
        assert msgspec.json.decode(msgspec.json.encode(change), type=MembershipChange) == change


class TestWhoIsHosted:
    BUILTIN = ("nexus", "aria")

    def test_members_from_elsewhere_are_under_a_name_without_underscores(self) -> None:
        assert rules.to_host({"my_ops": Profile(), "nexus": Profile()}, self.BUILTIN) == {"my-ops": "my_ops"}

    def test_who_speaks_the_protocol_itself_is_not(self) -> None:
        assert rules.to_host({"pi_mario_w-1": Profile(role=rules.ROLE)}, self.BUILTIN) == {}

    def test_of_two_with_one_name_the_one_that_bears_it_is(self) -> None:
        assert rules.to_host({"a_b": Profile(), "a-b": Profile()}, self.BUILTIN) == {"a-b": "a-b"}


class TestWhoIsBroughtIn:
    def test_an_agent_with_all_that_it_offers(self) -> None:
        found = rules.guest(registered(skills="x"), PLAIN)
        assert found is not None
        assert (found.name, found.bytes_max, found.attachments_ok) == ("pi_mario_w-1", 512 * 1024, True)
        assert rules.profile(found, 0.0).skill_names() == ["prompt", "pi", "x"]

    @pytest.mark.parametrize("metadata", [{"version": "0.2"}, {"version": "1.0"}, {"hosted_by": "cerebro"}])
    def test_another_version_and_an_agent_of_a_mesh_are_passed_over(self, metadata: dict[str, str]) -> None:
        assert rules.prompt_subject(registered(**metadata)) is None

    def test_a_patch_of_our_version_is_ours(self) -> None:
        assert rules.prompt_subject(registered(version="0.3.1")) == "agents.prompt.pi.mario.w-1"

    def test_nobody_is_brought_in_under_the_owner_of_the_meshes(self) -> None:
        assert rules.guest(registered(), {**PLAIN, "owner": "cerebro"}) is None

    @pytest.mark.parametrize("skills", ["", " , ,", "a b, ok", "prompt, ok, ok"])
    def test_names_that_are_no_skills_are_left_out(self, skills: str) -> None:
        found = rules.guest(registered(skills=skills), PLAIN)
        assert found is not None
        assert [n for n in rules.profile(found, 0.0).skill_names() if n not in {"prompt", "pi"}] == (["ok"] if "ok" in skills else [])


class TestWords:
    def test_a_prompt_becomes_a_task_for_this_agent_alone(self) -> None:
        task = rules.submission("nexus", Envelope(prompt="\n Look at this\nplease", metadata={"skill": "debugging"}), 30)
        assert (task.agent, task.title, task.required_skills, task.timeout_s) == ("nexus", "Look at this", ["debugging"], 30)
        assert task.input == {"message": {"parts": [{"text": "\n Look at this\nplease"}]}}

    def test_a_question_is_no_status(self) -> None:
        assert rules.said(Progress(fence=1, state="input_required", message="Sure?")) == rules.Said(question="Sure?")
        assert rules.said(Progress(fence=1, message="half")) == rules.Said(status="half")

    def test_data_and_links_are_told_in_words(self) -> None:
        artifact = Artifact(artifact_id="a", parts=[{"data": {"n": 1}}, {"url": "https://example.org"}])
        assert rules.said(Progress(fence=1, artifact=artifact)).text == '{\n  "n": 1\n}\nhttps://example.org'

    def test_the_end_says_only_what_was_not_said(self) -> None:
        end = Finished(status="succeeded", output="one two")
        assert rules.final(Result(fence=1, output="one two"), end, "one ").text == "two"
        assert rules.final(Result(fence=1, output="one two"), end, "one two").text == ""

    def test_a_task_becomes_a_prompt(self) -> None:
        task = AssignedTask(task_id="t", title="Sum", description="Add them", input={"n": [1, 2]})
        prompt = rules.envelope(task, "prompt")
        assert prompt.prompt == 'Sum\n\nAdd them\n\n{\n  "n": [\n    1,\n    2\n  ]\n}'
        assert prompt.metadata == {"task": "t"}
