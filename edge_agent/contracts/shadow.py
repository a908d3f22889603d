"""What two models say of the same fields: one in use, and a candidate that judges beside it or after it."""

from __future__ import annotations

from pydantic import Field

from edge_agent.contracts.base import OpenContract, Ratio, UtcTime
from edge_agent.contracts.model_identity import ModelIdentity
from edge_agent.contracts.percentiles import Count, Percentiles


class AgreementFigures(OpenContract):
    """How far two models agree. Whether they are right is not known: nobody has labelled the fields."""

    compared_count: Count = Field(description="Fields that at least one of the two judged.")
    unfit_count: Count = Field(
        description="Frames that neither could judge, such as empty or blurred ones; they say nothing of the models."
    )
    agreeing_count: Count = Field(
        description="Compared fields with the same outcome and, where both gave one and they can be compared, the same "
        "label."
    )
    agreement_ratio: Ratio | None = Field(description="agreeing_count by compared_count; null before the first.")
    agreement_low_ratio: Ratio = Field(
        description="Lower end of the agreement's 95 % score interval, as if every field were independent."
    )
    agreement_high_ratio: Ratio = Field(description="Upper end of that interval.")
    labels_comparable: bool | None = Field(
        description="Whether the two tell the same labels apart; if not, only outcomes are compared. Null before both "
        "have classified a field."
    )
    both_classified_count: Count = Field(description="Compared fields to which both gave a label.")
    other_label_count: Count = Field(description="Those to which they gave different ones.")
    active_refused_count: Count = Field(description="Compared fields to which the model in use gave no label.")
    candidate_refused_count: Count = Field(description="Compared fields to which the candidate gave no label.")
    active_refusals_count: dict[str, Count] = Field(description="active_refused_count by reason, or error's code.")
    candidate_refusals_count: dict[str, Count] = Field(
        description="candidate_refused_count by reason, or error's code."
    )


class ShadowMetrics(AgreementFigures):
    """A candidate beside the model in use. Counted since the later of its start and a change of the model in use."""

    model: ModelIdentity = Field(description="The candidate.")
    since: UtcTime
    provisional: bool = Field(description="True if no record shows that the candidate is right often enough.")
    passed_over_count: Count = Field(description="Readings that came while it was busy, and that it did not judge.")
    failures_count: Count = Field(description="Fields on which it failed. After several in a row it ends itself.")
    latency_ms: Percentiles | None = Field(
        description="Time of the candidate's whole analysis of its newest fields, beside the readings and with a lower "
        "priority; null before the first."
    )
