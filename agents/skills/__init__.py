"""What agents can do. A profile lists skills by name; each stands here once, with its input, its output and what performs it.

Six work without a language model, each in a file of its own with a pure core; `absent` holds those that say why they cannot.
"""

from agents.skills.absent import ABSENT
from agents.skills.cross_reference_analysis import CROSS_REFERENCE_ANALYSIS
from agents.skills.debugging import DEBUGGING
from agents.skills.infrastructure_management import INFRASTRUCTURE_MANAGEMENT
from agents.skills.knowledge_synthesis import KNOWLEDGE_SYNTHESIS
from agents.skills.priority_setting import PRIORITY_SETTING
from agents.skills.skill import Skill, SkillContext, SkillError
from agents.skills.strategic_planning import STRATEGIC_PLANNING

SKILLS: dict[str, Skill] = {
    skill.name: skill
    for skill in (
        DEBUGGING,
        INFRASTRUCTURE_MANAGEMENT,
        KNOWLEDGE_SYNTHESIS,
        CROSS_REFERENCE_ANALYSIS,
        PRIORITY_SETTING,
        STRATEGIC_PLANNING,
        *ABSENT,
    )
}

__all__ = ["SKILLS", "Skill", "SkillContext", "SkillError"]
