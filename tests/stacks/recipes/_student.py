"""What an application makes of its own data: the recipes share it."""

from timeback_async import OrgRef, Student

__all__ = ["student_of"]


def student_of(sourced_id: str) -> Student:
    return Student(
        sourced_id=sourced_id,
        username=None,
        given_name="Ada",
        family_name="Byron",
        grades=["5"],
        primary_org=OrgRef("org-1"),
    )
