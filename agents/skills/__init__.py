"""What agents can do. A profile lists skills by name; each stands here once, with its input, its output and what performs it.

Most work without a language model, each in a file of its own with a pure core; the others (`model_work`) say so when there is none.
"""

from agents.skills.architecture_design import ARCHITECTURE_DESIGN
from agents.skills.business_alignment import BUSINESS_ALIGNMENT
from agents.skills.code_generation import CODE_GENERATION
from agents.skills.cross_reference_analysis import CROSS_REFERENCE_ANALYSIS
from agents.skills.data_consolidation import DATA_CONSOLIDATION
from agents.skills.debugging import DEBUGGING
from agents.skills.final_approval import FINAL_APPROVAL
from agents.skills.infrastructure_management import INFRASTRUCTURE_MANAGEMENT
from agents.skills.knowledge_synthesis import KNOWLEDGE_SYNTHESIS
from agents.skills.memory_management import MEMORY_MANAGEMENT
from agents.skills.pattern_recognition import PATTERN_RECOGNITION
from agents.skills.performance_optimization import PERFORMANCE_OPTIMIZATION
from agents.skills.priority_setting import PRIORITY_SETTING
from agents.skills.quality_assurance import QUALITY_ASSURANCE
from agents.skills.skill import Skill, SkillContext, SkillError
from agents.skills.strategic_planning import STRATEGIC_PLANNING

SKILLS: dict[str, Skill] = {
    skill.name: skill
    for skill in (
        DEBUGGING,
        INFRASTRUCTURE_MANAGEMENT,
        KNOWLEDGE_SYNTHESIS,
        CROSS_REFERENCE_ANALYSIS,
        MEMORY_MANAGEMENT,
        PATTERN_RECOGNITION,
        DATA_CONSOLIDATION,
        PRIORITY_SETTING,
        STRATEGIC_PLANNING,
        BUSINESS_ALIGNMENT,
        PERFORMANCE_OPTIMIZATION,
        QUALITY_ASSURANCE,
        FINAL_APPROVAL,
        CODE_GENERATION,
        ARCHITECTURE_DESIGN,
    )
}

__all__ = ["SKILLS", "Skill", "SkillContext", "SkillError"]
