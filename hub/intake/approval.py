"""Whether what was dropped carries the proof of approval that the policy asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hub.api import Approval
from hub.intake.keys import Field
from hub.intake.settings import ApprovalLevel
from hub.intake.sidecar import Sidecar
from hub.messages import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """It may go on. `approval` is what the sidecar claims; None only where the policy asks for nothing."""

    approval: Approval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It may not, and why."""

    why: Refusal


def judge_approval(sidecar: Sidecar | None, level: ApprovalLevel, *, today: date) -> Approved | Refused:
    """Approved, or refused with what is missing."""
    if sidecar is None:
        return Approved(approval=None) if level is ApprovalLevel.NONE else Refused(why=_nothing())
    missing = _missing(sidecar)
    if missing and level is ApprovalLevel.NONE:
        return Approved(approval=None)
    if missing:
        return Refused(why=_incomplete(missing))
    approval = _claimed(sidecar)
    if approval.date > today:
        return Refused(
            why=Refusal(
                "The approval is dated {date}, which is still to come. Please correct the date.", date=approval.date
            )
        )
    return Approved(approval=approval)


def _claimed(sidecar: Sidecar) -> Approval:
    assert sidecar.approval_date is not None  # noqa: S101 - _missing() named it otherwise
    return Approval(number=sidecar.approval_number, date=sidecar.approval_date, approver=sidecar.approver)


def _missing(sidecar: Sidecar) -> list[str]:
    given = {
        Field.APPROVAL_NUMBER: sidecar.approval_number,
        Field.APPROVAL_DATE: sidecar.approval_date,
        Field.APPROVER: sidecar.approver,
    }
    return [field.value for field, value in given.items() if not value]


def _nothing() -> Refusal:
    return Refusal(
        "There is no proof of approval: no sidecar came with this file. Write a text with the same name as the file "
        "and the ending .txt (for a folder: info.txt), with the lines Nomor persetujuan, Tanggal persetujuan and "
        "Penyetuju (see contoh-info.txt), and drop both again."
    )


def _incomplete(missing: list[str]) -> Refusal:
    return Refusal(
        "The proof of approval is incomplete. Please add to the sidecar: {missing}, and drop it again.",
        missing=", ".join(missing),
    )
