"""Where things stand on the server: the subjects, streams and buckets of the mesh, with its prefix. No subject is written elsewhere."""

LOG_COPY = "log"
"""First token of the copy that the server publishes of each entry it accepted."""


class Names:
    """The names that one agent needs. `prefix`: that of a mesh which shares its server with others."""

    def __init__(self, agent: str, instance: str, prefix: str = "") -> None:
        self._agent = agent
        self.instance = instance
        self._dots = f"{prefix}." if prefix else ""
        dashes = f"{prefix}_" if prefix else ""
        self.inbox = f"_INBOX.{dashes}{agent}"
        self.presence = f"$KV.{dashes}presence.{agent}.{instance}"
        self.log = f"{dashes}MESH"
        self.work = f"work-{agent}"
        self.lesson = self.subject(f"mesh.learning.{agent}")
        self.integrated = f"{self.lesson}.integrated"
        self.affect = self.subject(f"mesh.emotion.{agent}")
        self.episode = self.subject(f"memory.episode.{agent}")
        self.heard_lessons = self.heard("mesh.learning.*")
        self.heard_proposals = self.heard("mesh.consensus.*.opened")
        self.heard_affects = self.heard("mesh.emotion.*")
        self.heard_stimuli = self.heard(f"mesh.emotion.{agent}.stimulus")

    def subject(self, plain: str) -> str:
        """A subject of the mesh as it stands on the server."""
        return self._dots + plain

    def heard(self, plain: str) -> str:
        """Where the log's copy of entries on `plain` is heard: each once, as it was accepted."""
        return f"{self._dots}{LOG_COPY}.{plain}"

    def token(self, subject: str, number: int) -> str:
        """The `number`-th token of a heard subject, counted in its plain form: of `mesh.learning.ops`, 2 is `ops`."""
        return subject.removeprefix(self._dots).split(".")[number + 1]

    def vote(self, proposal: str) -> str:
        return self.subject(f"mesh.consensus.{proposal}.vote.{self._agent}")

    def proposal(self, proposal: str) -> str:
        return self.subject(f"mesh.consensus.{proposal}.proposal.{self._agent}")

    def submitted(self, task: str) -> str:
        return self.subject(f"mesh.task.{task}.submitted")

    def about(self, task: str, kind: str) -> str:
        """Where this agent says something of a task: `progress`, `result` or `failed`."""
        return self.subject(f"mesh.task.{task}.{kind}.{self._agent}")

    def heard_of(self, task: str) -> str:
        """Where everything about a task is heard."""
        return self.heard(f"mesh.task.{task}.>")
