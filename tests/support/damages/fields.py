"""Which fields of a record depend on which field of the files."""

from collections import defaultdict

__all__ = ["FILE_FIELDS", "NEEDED_CELLS", "RECORD_FIELDS"]

# The fields of a record that a field of the files decides, where the names differ.
RECORD_FIELDS = {
    "orgSourcedIds": ("org", "roles"), "orgSourcedId": ("org", "roles"),
    "primaryOrgSourcedId": ("org",), "role": ("roles",), "roleType": ("roles", "org"),
    "beginDate": ("roles",), "endDate": ("roles", "org"), "grade": ("grades",),
}  # fmt: skip
FILE_FIELDS: dict[str, set[str]] = defaultdict(set)
for _field, _all in RECORD_FIELDS.items():
    for _each in _all:
        FILE_FIELDS[_each].add(_field)
# The cells without which a row is nothing.
NEEDED_CELLS = {
    "users": {
        "sourcedId", "givenName", "familyName", "role", "orgSourcedIds", "enabledUser", "status",
    },
    "roles": {
        "userSourcedId", "role", "orgSourcedId", "roleType", "status", "beginDate", "endDate",
    },
    "demographics": {"sourcedId", "birthDate", "status"},
    "relationships": {"userSourcedId", "relationshipUserSourcedId"},
}  # fmt: skip
