"""Check the fields of a settings struct against their annotations.

msgspec checks the structs that it decodes, but not those that Python code builds.
"""

from typing import Annotated, Literal, get_args, get_origin

import msgspec
from msgspec.structs import force_setattr

__all__ = ["Count", "Positive", "Seconds", "problems"]

# The upper bound excludes infinity. It is thirty years, and nobody means a longer wait.
_MOST = 1e9

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=_MOST)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=_MOST)]


def problems(settings: msgspec.Struct, prefix: str = "") -> list[str]:
    """Return one line for each field whose value does not fit its type.

    Values that fit after a conversion are converted in place, such as a list to a tuple.
    """
    found = []
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        try:
            force_setattr(settings, field.name, msgspec.convert(value, field.type))
        except msgspec.ValidationError as error:
            rule = str(error)
            if get_origin(field.type) is Literal:
                rule = f"must be one of {', '.join(get_args(field.type))}"
            found.append(f"{prefix}{field.name}: {rule}")
        else:
            if value != value:  # NaN passes every bound
                found.append(f"{prefix}{field.name}: Expected a number")
    return found
