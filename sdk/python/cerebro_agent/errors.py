"""What can go wrong.

AgentError
├── Unavailable   the mesh does not answer now; try again later
├── TooLarge      a message is larger than the server takes
├── Refused       the mesh understood and refused; `status` is the HTTP status, `detail` says why
├── NameTaken     another agent, with another role or other skills, bears this name
├── NotAdmitted   the server does not know this identity (any more)
└── SkillError    raised by a skill: the work could not be done
"""

import msgspec

BAD_BODY = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a body raises that is none: every one of them may be sent by somebody else."""


class AgentError(Exception):
    """Something went wrong between this agent and the mesh."""


class Unavailable(AgentError):
    """The mesh does not answer now; nothing is known to be lost, try again later."""


class TooLarge(AgentError):
    """The message is larger than the server takes."""


class NameTaken(AgentError):
    """Another agent, with another role or other skills, bears this name."""


class NotAdmitted(AgentError):
    """The server does not know this identity (any more): no key, a wrong, rotated or revoked one. Trying again does not help."""


class Refused(AgentError):
    """The mesh understood the request and refused it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class SkillError(AgentError):
    """The work could not be done: a stable code, a sentence, and whether another agent, or another try, may do better."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
